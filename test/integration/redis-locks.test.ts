/** Locks on real redis-servers: killed, stopped, emptied and taken away from under their holders. */
import { setImmediate } from 'node:timers/promises'
import type { ConfigStore, Lock } from 'millrace'
import { beforeAll, describe, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { Guarded, type MadeLocker, makeLocker } from '../harness/locks.ts'
import { type RedisServer, startRedis } from '../harness/redis.ts'
import { makeStore } from '../harness/redis-store.ts'
import { startRelay } from '../harness/relay.ts'
import { until } from '../harness/until.ts'

const ttlMs = 1500

const urlOf = (port: number): string => `redis://127.0.0.1:${port}`

/** As `until`, of what is asked over a connection. */
async function comesTrue(what: string, condition: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Timed out waiting until ${what}`)
    await setImmediate()
  }
}

async function taken(made: MadeLocker, name: string, options: object = {}): Promise<Lock> {
  const lock = await made.locker.acquire(name, { ttlMs, ...options })
  if (!lock) throw new Error(`${name} is another's`)
  return lock
}

describe('redis', () => {
  const keyOf = (name: string): string => `{millrace:default:locks}:lease:${name}`

  test('the key lapses by itself, and is deleted by its holder alone', async () => {
    const server = await startRedis({ aof: true })
    const [one, two] = await Promise.all([1, 2].map(() => makeLocker('redis', { url: server.url })))
    const lock = await taken(one, 'job', { ttlMs: 60_000 })
    expect(Number(await server.command('pttl', keyOf('job')))).toBeGreaterThan(50_000)
    expect(await two.locker.acquire('job')).toBe(undefined)
    // As if it had lapsed, and another had it.
    await server.command('del', keyOf('job'))
    const next = await taken(two, 'job', { ttlMs: 60_000 })
    expect(next.token.number).toBeGreaterThan(lock.token.number)
    await lock.release()
    expect(String(await server.command('get', keyOf('job')))).toMatch(`${next.token.number}\n`)
    expect(next.valid()).toBe(true)
  })

  test('a lock that another has taken over is lost at its next renewal', async () => {
    const server = await startRedis({ aof: true })
    const made = await makeLocker('redis', { url: server.url })
    const lock = await taken(made, 'job')
    await server.command('set', keyOf('job'), '999\nsomebody', 'px', 60_000)
    await until('it is told', () => lock.lost.aborted)
    expect(lock.valid()).toBe(false)
    expect(lock.lost.reason).toMatchObject({ code: 'MR_FENCED' })
    await lock.release()
    expect(await server.command('get', keyOf('job'))).toBe('999\nsomebody')
  })

  test('a server that stands still: its holder stops in time, and nobody is told that it is free', async () => {
    const server = await startRedis({ aof: true })
    const [one, two] = await Promise.all(
      [1, 2].map(() => makeLocker('redis', { url: server.url, timeout: '300ms' })),
    )
    const lock = await taken(one, 'job')
    server.pause()
    await expect(two.locker.acquire('job', { ttlMs })).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
    await until('its holder stops', () => lock.lost.aborted)
    expect(lock.remainingMs()).toBe(0)
    server.resume()
    await comesTrue('another has it', async () => two.locker.acquire('job', { ttlMs }).catch(() => undefined))
  })

  test('killed and started again it gives the lock to nobody new while its holder may act, and its token rises', async () => {
    const server = await startRedis({ aof: true })
    const relay = await startRelay(server.port)
    const one = await makeLocker('redis', { url: urlOf(relay.port), timeout: '500ms' })
    const two = await makeLocker('redis', { url: server.url, timeout: '500ms' })
    const lock = await taken(one, 'job')
    relay.cut()
    await server.kill()
    await server.start()
    const seen: { next?: Lock; both?: boolean } = {}
    await comesTrue('another has it', async () => {
      const next = await two.locker.acquire('job', { ttlMs }).catch(() => undefined)
      if (next) Object.assign(seen, { next, both: lock.valid() })
      return next
    })
    expect(seen.both).toBe(false)
    expect(seen.next?.token.number).toBeGreaterThan(lock.token.number)
  })

  test('locks of two fleets on one server are apart, and so are a lock and a lease of one name', async () => {
    const server = await startRedis({ aof: true })
    const made = await Promise.all(
      ['one', 'two'].map((fleet) => makeLocker('redis', { url: server.url }, { fleet })),
    )
    const { store } = await makeStore({ url: server.url }, { fleet: 'one' })
    for (const each of made) expect((await taken(each, 'job')).valid()).toBe(true)
    expect(await store.lease('job', 'somebody', 5000)).toBeDefined()
    expect((await store.leases('')).map(({ name }) => name)).toEqual(['job'])
  })

  test('a server without its append-only file is told of', async () => {
    const server = await startRedis()
    const made = await makeLocker('redis', { url: server.url })
    await taken(made, 'job')
    expect(made.warnings.join()).toMatch(/append-only file off/)
  })
})

describe('redlock', () => {
  const cleanup = untilFileEnds()
  let tokens: RedisServer
  beforeAll(async () => {
    tokens = await startRedis({ aof: true, cleanup })
  })

  const start = (): Promise<RedisServer[]> => Promise.all([1, 2, 3, 4, 5].map(() => startRedis()))

  /** A locker with the fleet's store on a server beside the five. */
  async function locker(nodes: readonly string[], id: string, timeout = '1s') {
    const { store } = await makeStore({ url: tokens.url })
    const made = await makeLocker('redlock', { nodes, timeout }, { store, id })
    return { store, made }
  }

  async function five(count: number, timeout?: string) {
    const servers = await start()
    await tokens.command('flushall')
    const nodes = servers.map(({ url }) => url)
    const made: MadeLocker[] = []
    const stores: ConfigStore[] = []
    for (let index = 0; index < count; index++) {
      const one = await locker(nodes, `n${index}`, timeout)
      stores.push(one.store)
      made.push(one.made)
    }
    return { servers, made, stores }
  }

  const keyOf = (name: string): string => `{millrace:default:redlock}:${name}`
  const holders = (servers: readonly RedisServer[], name: string): Promise<unknown[]> =>
    Promise.all(servers.map((server) => server.command('get', keyOf(name)).catch(() => 'away')))

  test('held on 3 of 5, two restart empty: a second holder appears, and the token rejects the first’s write', async () => {
    const servers = await start()
    await tokens.command('flushall')
    const [a, b, c, d, e] = servers
    // The first does not reach two of them.
    const cut = await Promise.all([d, e].map(({ port }) => startRelay(port)))
    for (const relay of cut) relay.cut()
    const reached = [a, b, c].map(({ url }) => url)
    const { made: one } = await locker([...reached, ...cut.map(({ port }) => urlOf(port))], 'n0')
    const all = servers.map(({ url }) => url)
    const { made: two } = await locker(all, 'n1')
    const first = await taken(one, 'job', { ttlMs: 60_000 })
    const held = await holders(servers, 'job')
    expect(held.slice(0, 3).every((holder) => String(holder).startsWith('n0/'))).toBe(true)
    expect(held.slice(3)).toEqual([null, null])
    expect(await two.locker.acquire('job', { ttlMs: 60_000 })).toBe(undefined)

    await Promise.all([a, b].map((server) => server.kill()))
    await Promise.all([a, b].map((server) => server.start()))
    const second = await taken(two, 'job', { ttlMs: 60_000, waitMs: 15_000 })

    // No clock and no majority of theirs can tell the first that it is not alone.
    expect([first.valid(), second.valid()]).toEqual([true, true])
    expect(second.token.lineage).toBe(first.token.lineage)
    expect(second.token.number).toBeGreaterThan(first.token.number)
    const guarded = new Guarded()
    guarded.write(first.token, 'by the first, while it was alone')
    guarded.write(second.token, 'by the second')
    expect(() => guarded.write(first.token, 'by the first, who does not know')).toThrow(
      expect.objectContaining({ code: 'MR_FENCED' }),
    )
    expect(guarded.writes).toEqual(['by the first, while it was alone', 'by the second'])
  })

  test('two of five away: it is given, kept and freed all the same; three away: nobody knows', async () => {
    const {
      servers,
      made: [one, two],
    } = await five(2, '500ms')
    await Promise.all([servers[0].kill(), servers[1].kill()])
    const lock = await taken(one, 'job')
    expect(await two.locker.acquire('job', { ttlMs })).toBe(undefined)
    const leftMs = async (): Promise<number> => Number(await servers[4].command('pttl', keyOf('job')))
    await comesTrue('some of its time has passed', async () => (await leftMs()) < ttlMs * 0.8)
    await comesTrue('it was renewed', async () => (await leftMs()) > ttlMs * 0.9)
    expect(lock.valid()).toBe(true)
    await lock.release()
    const next = await taken(two, 'job', { waitMs: 5000 })
    await servers[2].kill()
    await expect(one.locker.acquire('other', { ttlMs })).rejects.toMatchObject({
      code: 'MR_STORE_UNAVAILABLE',
      message: expect.stringMatching(/2 of 5 servers gave it, 0 have given it to another, and 3 did not say/),
    })
    await until('its holder stops', () => next.lost.aborted)
    await comesTrue('what was got half-way is given back', async () => {
      const held = await holders(servers, 'other')
      return held.every((holder) => holder === null || holder === 'away')
    })
  })

  test('a server that comes back empty takes part again: servers may be restarted one by one under a lock', async () => {
    const {
      servers,
      made: [one, two],
    } = await five(2)
    const lock = await taken(one, 'job', { ttlMs: 3000 })
    for (const server of servers) {
      await server.kill()
      await server.start()
      await comesTrue('it has the lock again', async () => {
        expect(lock.valid()).toBe(true)
        return (await server.command('get', keyOf('job'))) !== null
      })
    }
    expect(await two.locker.acquire('job', { ttlMs })).toBe(undefined)
    expect(lock.valid()).toBe(true)
  })

  test('a majority that another has taken ends it, and what is left of it is given back', async () => {
    const {
      servers,
      made: [one],
    } = await five(1)
    const lock = await taken(one, 'job', { ttlMs: 6000 })
    for (const server of servers.slice(0, 3)) await server.command('set', keyOf('job'), 'x/y', 'px', 60_000)
    await until('it is told', () => lock.lost.aborted)
    // What lapses by itself lapses later than this.
    await servers[3].command('set', 'witness', '1', 'px', 4000)
    await comesTrue('the rest is free', async () => {
      const held = await holders(servers, 'job')
      return held.slice(3).every((holder) => holder === null)
    })
    expect(await servers[3].command('get', 'witness')).toBe('1')
    await lock.release()
    expect((await holders(servers, 'job')).slice(0, 3)).toEqual(['x/y', 'x/y', 'x/y'])
  })

  test('without the store’s token there is no lock, and nothing stays held', async () => {
    const {
      servers,
      made: [one],
      stores: [store],
    } = await five(1)
    await tokens.kill()
    try {
      await expect(store.lineage()).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
      await expect(one.locker.acquire('job', { ttlMs: 60_000 })).rejects.toMatchObject({
        code: 'MR_STORE_UNAVAILABLE',
      })
      await comesTrue('nothing is held', async () =>
        (await holders(servers, 'job')).every((holder) => holder === null),
      )
    } finally {
      await tokens.start()
    }
  })

  test('without a config store it is not made', async () => {
    await expect(
      makeLocker('redlock', { nodes: [1, 2, 3].map((host) => `redis://127.0.0.${host}`) }),
    ).rejects.toMatchObject({ message: expect.stringMatching(/`store:` is missing/) })
  })

  test('servers that are even in number, or named twice, are refused', async () => {
    const url = (host: number): string => `redis://127.0.0.${host}`
    for (const [nodes, message] of [
      [[1, 2, 3, 4].map(url), /odd number/],
      [[1, 2, 2].map(url), /named twice/],
      [[1].map(url), /at least 3/],
    ] as const)
      await expect(makeLocker('redlock', { nodes })).rejects.toMatchObject({
        code: 'MR_PLUGIN_OPTIONS',
        message: expect.stringMatching(message),
      })
  })
})
