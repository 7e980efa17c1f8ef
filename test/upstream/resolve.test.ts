import { expect, test } from 'vitest'
import { AddressBook } from '../../core/upstream/resolve.ts'
import { FakeClock } from '../harness/fake-clock.ts'

function book(name: string, found: readonly string[] | undefined) {
  const clock = new FakeClock()
  let lookups = 0
  const addresses = new AddressBook(name, clock, async () => {
    lookups++
    if (found === undefined) throw new Error('no such name')
    return found
  })
  return { clock, addresses, lookups: () => lookups }
}

test('a name that never resolves has one timer, however often it is started and followed', async () => {
  const { clock, addresses, lookups } = book('gone.example', undefined)
  for (let reload = 0; reload < 3; reload++) {
    await addresses.start()
    addresses.follow()
  }
  expect(clock.pending).toBe(1)
  expect(lookups()).toBe(1)
  expect(addresses.error?.message).toBe('no such name')
  await clock.advanceAsync(5_000)
  expect(lookups()).toBe(6)
  addresses.stop()
  expect(clock.pending).toBe(0)
})

test('a name has no timer before it is followed', async () => {
  const { clock, addresses } = book('there.example', ['10.0.0.1', '10.0.0.2'])
  await addresses.start()
  expect(clock.pending).toBe(0)
  expect([addresses.take(), addresses.take(), addresses.take()]).toEqual(['10.0.0.2', '10.0.0.1', '10.0.0.2'])
})

test('a look-up that ends after the stop leaves no timer', async () => {
  const { clock, addresses } = book('late.example', ['10.0.0.1'])
  const started = addresses.start()
  addresses.follow()
  addresses.stop()
  await started
  expect(clock.pending).toBe(0)
})

test.each(['10.0.0.1', '::1', ''])('%j is not looked up', async (name) => {
  const { clock, addresses, lookups } = book(name, undefined)
  await addresses.start()
  addresses.follow()
  expect(addresses.take()).toBe(name)
  expect([lookups(), clock.pending]).toEqual([0, 0])
})
