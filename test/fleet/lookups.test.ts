/** Names of nodes: looked up one at a time, and not again for each datagram. */
import { expect, test } from 'vitest'
import { Lookups } from '../../core/fleet/lookups.ts'
import { FakeTime, settled } from '../conformance/time.ts'

function begin() {
  const time = new FakeTime()
  const clock = time.clock()
  /** What is being looked for, in order; each is answered by the test. */
  const asked: { readonly host: string; answer(address: string): void; fail(): void }[] = []
  const lookups = new Lookups<string>({
    now: () => clock.now(),
    find: (host) =>
      new Promise((resolve, reject) => {
        asked.push({ host, answer: resolve, fail: () => reject(new Error(`${host} is not known`)) })
      }),
  })
  return { time, asked, lookups }
}

test('a name server that does not answer is asked one thing at a time, however much is sent', async () => {
  const { asked, lookups } = begin()
  const found = ['a', 'b', 'a', 'b', 'a'].map((host) => lookups.of(host))
  await settled()
  expect(asked.map(({ host }) => host)).toEqual(['a'])
  asked[0].answer('10.0.0.1')
  await settled()
  expect(asked.map(({ host }) => host)).toEqual(['a', 'b'])
  asked[1].answer('10.0.0.2')
  expect(await Promise.all(found)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.1', '10.0.0.2', '10.0.0.1'])
})

test('what was found serves for 30 s, and then until there is a newer', async () => {
  const { time, asked, lookups } = begin()
  const first = lookups.of('a')
  await settled()
  asked[0].answer('10.0.0.1')
  await first
  time.advance(29_000)
  expect(await lookups.of('a')).toBe('10.0.0.1')
  expect(asked).toHaveLength(1)
  time.advance(1000)
  expect(await lookups.of('a')).toBe('10.0.0.1')
  await settled()
  expect(asked).toHaveLength(2)
  asked[1].answer('10.0.0.9')
  await settled()
  expect(await lookups.of('a')).toBe('10.0.0.9')
  // A name that is lost goes on where it was.
  time.advance(30_000)
  await lookups.of('a')
  await settled()
  asked[2].fail()
  await settled()
  expect(await lookups.of('a')).toBe('10.0.0.9')
})

test('a name that cannot be found is looked for again after 5 s, not with each datagram', async () => {
  const { time, asked, lookups } = begin()
  const first = lookups.of('a')
  await settled()
  asked[0].fail()
  await expect(first).rejects.toThrow('a is not known')
  time.advance(4900)
  await expect(lookups.of('a')).rejects.toThrow('a is not known')
  expect(asked).toHaveLength(1)
  time.advance(100)
  const again = lookups.of('a')
  await settled()
  asked[1].answer('10.0.0.1')
  expect(await again).toBe('10.0.0.1')
})
