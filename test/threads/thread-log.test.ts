import { expect, test } from 'vitest'
import type { AccessRecord } from '../../core/observe/access-record.ts'
import type { FromThread } from '../../core/threads/messages.ts'
import { AccessBatch } from '../../core/threads/thread-log.ts'
import { FakeClock } from '../harness/fake-clock.ts'

const record = {} as AccessRecord

function bench() {
  const clock = new FakeClock()
  const posted: FromThread[] = []
  const batch = new AccessBatch(clock, (message) => void posted.push(message))
  const sent = (): number =>
    posted.reduce((sum, message) => sum + (message.type === 'access' ? message.records.length : 0), 0)
  const said = () => posted.filter(({ type }) => type === 'log')
  return { clock, batch, sent, said, posted }
}

test('access records are sent in batches, or after 100 ms', () => {
  const { batch, clock, posted, sent } = bench()
  for (let i = 0; i < 65; i++) batch.add(record)
  expect([posted.length, sent()]).toEqual([1, 64])
  clock.advance(100)
  expect([posted.length, sent()]).toEqual([2, 65])
})

test('a main thread that does not take them makes the thread drop records, not hold them', () => {
  const { batch, sent, said } = bench()
  for (let i = 0; i < 50_000; i++) batch.add(record)
  expect(sent()).toBe(16_384)
  batch.taken(64)
  expect(said()).toEqual([])
  batch.taken(16_384 - 64)
  expect(said()).toMatchObject([{ level: 'warn', fields: { records: 50_000 - 16_384 } }])
  for (let i = 0; i < 64; i++) batch.add(record)
  expect(sent()).toBe(16_384 + 64)
  batch.taken(64)
  expect(said()).toHaveLength(1)
})
