import { expect, onTestFinished, test } from 'vitest'
import { StoreMembers } from '../../core/fleet/members.ts'
import { systemClock } from '../../core/host/clock.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime, until } from '../conformance/time.ts'

test('members are those of the records, followed as they change; what is no record is left out', async () => {
  const data = new MemoryStore(new FakeTime())
  const client = data.client()
  const self = { id: 'a', boot: 'x', role: 'lb', address: '127.0.0.1:1', zone: '' } as const
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const deps = { self, store: client, clock: systemClock, random: Math.random, log, lookMs: 20 }
  const members = new StoreMembers(deps)
  onTestFinished(() => members.stop())
  let changes = 0
  members.watch(() => void changes++)
  const put = async (id: string, value: string | null) => {
    const head = data.documents.get(`node/${id}`)?.history[0].revision ?? null
    const bytes = value === null ? null : Buffer.from(value)
    await client.put(`node/${id}`, bytes, head, `write-${id}-${(head?.number ?? 0) + 1}`, { by: 'test' })
  }
  const of = (id: string, boot = 'y') => JSON.stringify({ ...self, id, boot, address: '127.0.0.1:2' })
  await put('b', of('b'))
  for (const [id, value] of Object.entries({
    c: 'nonsense',
    d: of('other'),
    e: of('e').replace('"lb"', '"x"'),
    f: '{}',
  }))
    await put(id, value)
  await put('a', of('a', 'an earlier start'))
  await until('b is there', () => members.all().length === 2)
  expect(members.all()).toEqual([self, { ...self, id: 'b', boot: 'y', address: '127.0.0.1:2' }])
  const before = members.all()
  client.cut = true
  await put('b', of('b', 'z')).catch(() => {})
  client.cut = false
  await put('b', of('b', 'z'))
  await until('it was started again', () => members.all()[1]?.boot === 'z')
  expect(before[1]?.boot).toBe('y')
  await put('b', null)
  await until('it is gone', () => members.all().length === 1)
  expect(changes).toBe(3)
})
