/** The one rule of validity, and that a lease which is taken again is the same one, whatever the store. */
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { HeldLease, Holding, Holdings, type LeaseCalls } from '../../../plugins/lib/held-lease.ts'
import { argumentsOf, RedisLeases } from '../../../plugins/lib/redis-leases.ts'
import { newFolder, openSqlite } from '../config-store/sqlite-world.ts'
import { FakeTime } from '../fake-context.ts'

const token = { lineage: 'l', number: 7 }
const terms = { name: 'job', holder: 'me', token, ttlMs: 10_000 }

function held(calls: Partial<LeaseCalls> = {}) {
  const time = new FakeTime()
  const clock = time.clock()
  const stop = new AbortController()
  const all: LeaseCalls = { renew: async () => true, release: async () => {}, ...calls }
  return { time, stop, lease: new HeldLease(terms, clock, clock.now(), all, stop.signal) }
}

describe('validity', () => {
  test('counts from before the request, less 1 % and 2 ms', () => {
    const { time, lease } = held()
    expect(lease.remainingMs()).toBe(9898)
    time.advance(9897)
    expect(lease.valid()).toBe(true)
    time.advance(1)
    expect([lease.valid(), lease.remainingMs()]).toEqual([false, 0])
  })

  test('a renewal counts from when it was sent, however late its answer', async () => {
    let answer: (kept: boolean) => void = () => {}
    const { time, lease } = held({
      renew: () =>
        new Promise((resolve) => {
          answer = resolve
        }),
    })
    time.advance(3000)
    const renewing = lease.renew()
    time.advance(4000)
    answer(true)
    expect(await renewing).toBe(true)
    expect(lease.remainingMs()).toBe(9898 - 4000)
  })

  test('a plugin that knows when it was really sent says so', async () => {
    const { time, lease } = held({ renew: async () => 2500 })
    time.advance(2000)
    expect(await lease.renew()).toBe(true)
    expect(lease.remainingMs()).toBe(9898 + 500)
  })

  test('a shorter or an older extension takes nothing away', () => {
    const holding = new Holding(token)
    holding.extend(0, 10_000)
    holding.extend(0, 100)
    expect(holding.remainingMs(0)).toBe(9898)
    holding.end()
    holding.extend(5000, 10_000)
    expect([holding.over, holding.remainingMs(5000)]).toEqual([true, 0])
  })

  test('lost, released or stopped is for good; what nobody knows changes nothing', async () => {
    const unknown = held({ renew: () => Promise.reject(new Error('no answer')) })
    await expect(unknown.lease.renew()).rejects.toThrow('no answer')
    expect(unknown.lease.remainingMs()).toBe(9898)
    const lost = held({ renew: async () => false })
    expect(await lost.lease.renew()).toBe(false)
    const released = held({ release: () => Promise.reject(new Error('no answer')) })
    await released.lease.release()
    const stopped = held()
    stopped.stop.abort()
    for (const { lease } of [lost, released, stopped]) {
      expect(lease.valid()).toBe(false)
      expect(await lease.renew()).toBe(false)
    }
  })
})

test('a holding is shared by its token, and not given back to who has released it', () => {
  const holdings = new Holdings()
  const first = holdings.take('job', token, 0)
  expect(holdings.take('job', { ...token }, 0)).toBe(first)
  expect(holdings.givenBack('job')).toBe(undefined)
  first.end()
  expect(holdings.givenBack('job')).toBe(7)
  expect(holdings.take('job', { ...token }, 0)).not.toBe(first)
  expect(holdings.take('job', { lineage: 'l', number: 8 }, 0).token.number).toBe(8)
})

test('sqlite: one whose release was lost comes back with another token', async () => {
  const folder = newFolder()
  const { store } = await openSqlite(folder)
  const one = await store.lease('relay', 'me', 60_000)
  const database = new DatabaseSync(path.join(folder, 'store.db'))
  onTestFinished(() => database.close())
  database.exec('CREATE TEMP TABLE kept AS SELECT * FROM leases')
  await one?.release()
  expect(await store.leases('')).toEqual([])
  // As if the release had never arrived.
  database.exec('INSERT INTO leases SELECT * FROM kept')
  const again = await store.lease('relay', 'me', 60_000)
  expect(again?.token.number).toBeGreaterThan(one?.token.number ?? 0)
  expect(again?.valid()).toBe(true)
})

test('redis: released while it is taken again, what is taken is another one', async () => {
  const { promise: slow, resolve: answer } = Promise.withResolvers<void>()
  const givenBack: unknown[] = []
  const leases = new RedisLeases({
    clock: new FakeTime().clock(),
    signal: new AbortController().signal,
    runId: () => '',
    run: async () => ({ reply: 1 as never, sentAt: 0 }),
    async write(_script, _keys, given) {
      const said = argumentsOf(given).at(-1)
      givenBack.push(said)
      if (givenBack.length === 2) await slow
      return { reply: [Buffer.from(said === 7 ? '8' : '7'), Buffer.from('l')] as never, sentAt: 0 }
    },
  })
  const one = await leases.take('relay', 'me', 60_000)
  const taking = leases.take('relay', 'me', 60_000)
  await one?.release()
  answer()
  const two = await taking
  expect([two?.token.number, two?.valid(), one?.valid()]).toEqual([8, true, false])
  expect(givenBack).toEqual(['', '', 7])
})

describe.each(['sqlite', 'memory'])('%s', (use) => {
  test('released while it is taken again: what is taken is held, and nobody else has it', async () => {
    const { store } = await openSqlite(newFolder(), {}, use)
    const one = await store.lease('relay', 'me', 60_000)
    const taking = store.lease('relay', 'me', 60_000)
    const releasing = one?.release()
    const two = await taking
    await releasing
    const other = await store.lease('relay', 'another', 60_000)
    expect(two?.valid() && other?.valid()).toBeFalsy()
    const held = (await store.leases('')).map(({ token }) => token.number)
    expect(held).toEqual([(two?.valid() ? two : other)?.token.number])
  })

  test('released, every object of a lease is over; taken again it has a new token', async () => {
    const { store } = await openSqlite(newFolder(), {}, use)
    const one = await store.lease('relay', 'me', 60_000)
    const two = await store.lease('relay', 'me', 100)
    expect(two?.token).toEqual(one?.token)
    expect(two?.remainingMs()).toBeGreaterThan(50_000)
    const releasing = one?.release()
    expect([one?.valid(), two?.valid()]).toEqual([false, false])
    const again = store.lease('relay', 'me', 60_000)
    await releasing
    await two?.release()
    const third = await again
    expect(third?.token.number).toBeGreaterThan(one?.token.number ?? 0)
    expect(third?.valid()).toBe(true)
    expect((await store.leases('')).map(({ token }) => token.number)).toEqual([third?.token.number])
  })
})
