import { describe, expect, onTestFinished, test } from 'vitest'
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

describe('the record of an LB server that is gone', () => {
  const minute = 60_000

  /** Node a looks; b has a record. Whose lease is held says `held`, and is renewed for as long. */
  async function fleet() {
    const time = new FakeTime()
    const data = new MemoryStore(time)
    const client = data.client()
    const self = { id: 'a', boot: 'x', role: 'lb', address: '10.0.0.1:1', zone: '' } as const
    const broken = { leases: false }
    const members = new StoreMembers({
      ...{ self, clock: time.clock(), random: () => 0.5 },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      store: {
        heads: (prefix) => client.heads(prefix),
        get: (document) => client.get(document),
        leases: async (prefix) => {
          if (broken.leases) throw new Error('no leases here')
          return client.leases(prefix)
        },
      },
    })
    onTestFinished(() => members.stop())
    const held = new Set(['a', 'b'])
    const pass = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 5000) {
        for (const id of held) await client.lease(`node/${id}`, `${id}/1`, 15_000)
        await time.advanceAsync(5000)
      }
    }
    let writes = 0
    const write = async (id: string, boot: string, role = 'lb') => {
      const head = data.documents.get(`node/${id}`)?.history[0].revision ?? null
      const value = Buffer.from(JSON.stringify({ ...self, id, boot, role, address: '10.0.0.2:1' }))
      await client.put(`node/${id}`, value, head, `write-${++writes}-0123456789`, { by: 'test' })
    }
    await write('b', 'y')
    const others = () => members.all().flatMap(({ id, boot }) => (id === 'a' ? [] : `${id} ${boot}`))
    members.watch(() => {})
    await pass(minute)
    expect(others()).toEqual(['b y'])
    return { data, client, held, pass, write, others, broken }
  }

  test('is left out ten minutes after its lease was seen last, and back with its lease', async () => {
    const { held, pass, others } = await fleet()
    held.delete('b')
    await pass(10 * minute)
    expect(others()).toEqual(['b y'])
    await pass(minute)
    expect(others()).toEqual([])
    held.add('b')
    await pass(20_000)
    expect(others()).toEqual(['b y'])
  })

  test('is back with a newer record, for ten minutes where no lease follows', async () => {
    const { held, pass, others, write } = await fleet()
    held.delete('b')
    await pass(11 * minute)
    expect(others()).toEqual([])
    await write('b', 'z')
    await pass(20_000)
    expect(others()).toEqual(['b z'])
    await pass(11 * minute)
    expect(others()).toEqual([])
  })

  test('stays while its lease is only missing now and then', async () => {
    const { held, pass, others } = await fleet()
    for (let round = 0; round < 5; round++) {
      held.delete('b')
      await pass(9 * minute)
      held.add('b')
      await pass(20_000)
    }
    expect(others()).toEqual(['b y'])
  })

  test('stays where the leases cannot be read, or where the store has lost them all; records are followed all the same', async () => {
    const { held, pass, others, write, broken } = await fleet()
    broken.leases = true
    held.delete('b')
    await pass(30 * minute)
    await write('c', 'y')
    await pass(20_000)
    expect(others()).toEqual(['b y', 'c y'])
    broken.leases = false
    held.clear()
    await pass(30 * minute)
    expect(others()).toEqual(['b y', 'c y'])
  })

  test('is not judged by the time in which the store was away', async () => {
    const { held, pass, others, client } = await fleet()
    held.delete('b')
    await pass(minute)
    const names = [...held]
    held.clear()
    client.cut = true
    await pass(30 * minute)
    client.cut = false
    for (const name of names) held.add(name)
    await pass(minute)
    expect(others()).toEqual(['b y'])
    await pass(10 * minute)
    expect(others()).toEqual([])
  })

  test('stays where it is one of a node that holds no lease', async () => {
    const { pass, others, write } = await fleet()
    await write('d', 'y', 'dns')
    await pass(30 * minute)
    expect(others()).toEqual(['b y', 'd y'])
  })
})

test('a record is not read again for what its node serves now; it is when the node was started again', async () => {
  const time = new FakeTime()
  const data = new MemoryStore(time)
  const client = data.client()
  const self = { id: 'a', boot: 'x', role: 'lb', address: '10.0.0.1:1', zone: '' } as const
  let reads = 0
  const members = new StoreMembers({
    ...{ self, clock: time.clock(), random: () => 0.5 },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    store: {
      heads: (prefix) => client.heads(prefix),
      leases: (prefix) => client.leases(prefix),
      get: (document) => {
        reads++
        return client.get(document)
      },
    },
  })
  onTestFinished(() => members.stop())
  let writes = 0
  const write = async (boot: string, applied: number) => {
    const head = data.documents.get('node/b')?.history[0].revision ?? null
    const value = JSON.stringify({ ...self, id: 'b', boot, config: { applied } })
    await client.put('node/b', Buffer.from(value), head, `write-${++writes}`, { by: 'test' })
  }
  const pass = async (holder: string) => {
    for (let round = 0; round < 4; round++) {
      await client.lease('node/b', holder, 15_000)
      await time.advanceAsync(5000)
    }
  }
  const boots = () => members.all().flatMap(({ id, boot }) => (id === 'b' ? boot : []))
  await write('y', 1)
  members.watch(() => {})
  await pass('b/y')
  expect([boots(), reads]).toEqual([['y'], 1])
  for (let applied = 2; applied < 6; applied++) {
    await write('y', applied)
    await pass('b/y')
  }
  expect(reads).toBe(1)
  // Killed and started again: its record is new, and its lease still the earlier one's until that has lapsed.
  await write('z', 5)
  await time.advanceAsync(20_000)
  await pass('b/z')
  expect([boots(), reads]).toEqual([['z'], 2])
  await client.put('node/b', null, data.documents.get('node/b')?.history[0].revision ?? null, 'gone', {
    by: 'test',
  })
  await pass('b/z')
  expect([boots(), reads]).toEqual([[], 2])
})
