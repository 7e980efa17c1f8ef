/** The Redis store while its server is killed, stopped, cut off and replaced. */
import type { PutResult, Revision } from 'millrace'
import { describe, expect, test } from 'vitest'
import { startRedis } from '../harness/redis.ts'
import { replicated, replicationField, settled } from '../harness/redis-replication.ts'
import { makeStore, note, settle, textOf, write, writeId } from '../harness/redis-store.ts'
import { startRelay } from '../harness/relay.ts'

const committed = (result: PutResult): Revision => {
  expect(result.status).toBe('committed')
  return (result as { revision: Revision }).revision
}

test('killed and started again in the middle of writes: each takes effect once, and none that was acknowledged is lost', async () => {
  const server = await startRedis({ aof: true })
  const { store } = await makeStore({ url: server.url, timeout: '2s' })
  let killed = 0
  let uncertain = 0
  let stopped = false
  let written = 0
  const killer = (async () => {
    while (!stopped && killed < 5) {
      const before = written
      await settled(async () => written > before + 3 || stopped)
      await server.kill()
      killed++
      await server.start()
    }
  })()
  let head: Revision | null = null
  const made: string[] = []
  while (killed < 5 || written < 40) {
    const id = writeId()
    const expect = head
    let first = true
    const put = async (): Promise<PutResult> => {
      const result = await store.put('config', Buffer.from(id), expect, id, note)
      if (first && result.status === 'unknown') uncertain++
      first = false
      return result
    }
    head = committed(await settle(put))
    made.push(id)
    written++
  }
  stopped = true
  await killer
  const history = await store.history('config', { limit: 1000 })
  expect(history.map(({ revision }) => revision.id)).toEqual(made.toReversed().slice(0, history.length))
  expect(history.length).toBe(Math.min(made.length, 100))
  expect(head?.number).toBe(made.length)
  expect(killed).toBe(5)
  expect(uncertain).toBeLessThanOrEqual(5)
})

test('stopped for longer than the limit: a write is unknown, and the same write again is committed once', async () => {
  const server = await startRedis({ aof: true })
  const { store } = await makeStore({ url: server.url, timeout: '300ms' })
  const first = await write(store, 'config', 'v1', null)
  server.pause()
  const id = writeId()
  const put = () => store.put('config', Buffer.from('v2'), first, id, note)
  const result = await put()
  expect(result).toMatchObject({ status: 'unknown', cause: { code: 'MR_STORE_UNAVAILABLE' } })
  // A call that was not sent says so.
  await expect(put()).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
  await expect(store.get('config')).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
  server.resume()
  expect(committed(await settle(put))).toEqual({ number: 2, id, parent: first.id })
  expect((await store.history('config')).map(({ revision }) => revision.number)).toEqual([2, 1])
})

test('connections that are killed under many writes: each is committed once, whatever was said of it first', async () => {
  const server = await startRedis({ aof: true })
  const { store } = await makeStore({ url: server.url, timeout: '2s' })
  await write(store, 'warm', 'x', null)
  let others = 0
  let rounds = 0
  // Until some were really cut off.
  for (; others === 0; rounds++) {
    const puts = Array.from({ length: 40 }, (_, n) => {
      const id = writeId()
      return () => store.put(`doc/${rounds}/${n}`, Buffer.alloc(2000, n), null, id, note)
    })
    const first = puts.map((put) => put().catch((error: unknown) => error))
    await server.command('client', 'kill', 'type', 'normal')
    others += (await Promise.all(first)).filter(
      (result) => (result as PutResult).status !== 'committed',
    ).length
    for (const put of puts) expect(committed(await settle(put)).number).toBe(1)
  }
  expect((await store.heads('doc/')).length).toBe(40 * rounds)
  for (const { revision, bytes } of await store.heads('doc/'))
    expect([revision.number, bytes]).toEqual([1, 2000])
})

test('a connection that carries nothing any more is given up: the next call has another', async () => {
  const server = await startRedis()
  const relay = await startRelay(server.port)
  const { store } = await makeStore({ url: `redis://127.0.0.1:${relay.port}`, timeout: '300ms' })
  await write(store, 'config', 'v1', null)
  relay.freeze()
  await expect(store.get('config')).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
  relay.heal()
  await settled(async () => textOf(await store.get('config').catch(() => null)) === 'v1')
})

test('a server that was not there at the start is found when it comes', async () => {
  const server = await startRedis({ aof: true })
  await server.kill()
  const { store } = await makeStore({ url: server.url, timeout: '1s' })
  await expect(store.get('config')).rejects.toMatchObject({
    code: 'MR_STORE_UNAVAILABLE',
    message: expect.stringContaining('ECONNREFUSED'),
  })
  await expect(store.put('config', Buffer.from('x'), null, writeId(), note)).rejects.toMatchObject({
    code: 'MR_STORE_UNAVAILABLE',
  })
  await server.start()
  await settled(async () => (await store.get('config').catch(() => 'away')) === null)
})

test('at stop a write under way is unknown, and a read is refused', async () => {
  const server = await startRedis()
  const { store, stop } = await makeStore({ url: server.url })
  await write(store, 'config', 'v1', null)
  const lease = await store.lease('relay', 'me', 60_000)
  server.pause()
  const calls = Promise.all([
    store.put('other', Buffer.from('x'), null, writeId(), note),
    store.get('config').catch((error: unknown) => error),
  ])
  await stop()
  server.resume()
  expect(await calls).toMatchObject([{ status: 'unknown' }, { code: 'MR_STORE_UNAVAILABLE' }])
  expect(lease?.valid()).toBe(false)
  await expect(store.get('config')).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
})

describe('a replica is promoted', () => {
  async function pair(options: object = {}) {
    const master = await startRedis()
    const link = await startRelay(master.port)
    const replica = await startRedis({ replicaOf: link })
    const relay = await startRelay(master.port)
    const { store } = await makeStore({ url: `redis://127.0.0.1:${relay.port}`, timeout: '1s', ...options })
    await master.command('set', 'ballast', 'x')
    await replicated(master, replica)
    const promote = async (): Promise<void> => {
      await master.kill()
      replica.resume()
      await replica.command('replicaof', 'no', 'one')
      relay.leadTo(replica.port)
    }
    return { master, replica, link, store, promote }
  }

  test('what it did not have is gone, and the fork can be seen: a lower number, then the same with another id', async () => {
    const { master, replica, link, store, promote } = await pair()
    const kept = await write(store, 'config', 'v1', null)
    const lineage = await store.lineage()
    await replicated(master, replica)
    link.cut()
    const lost = await write(store, 'config', 'v2', kept)
    await promote()
    await settled(async () => (await store.get('config').catch(() => null)) !== null)
    const found = await store.get('config', { fresh: true })
    expect(found?.revision).toEqual(kept)
    expect(await store.lineage()).toBe(lineage)
    expect(await store.put('config', Buffer.from('v3'), lost, writeId(), note)).toMatchObject({
      status: 'conflict',
      head: { revision: kept },
    })
    const other = await write(store, 'config', 'v2 again', kept)
    expect([other.number, other.parent]).toEqual([lost.number, lost.parent])
    expect(other.id).not.toBe(lost.id)
    expect(await store.revision('config', lost)).toBeNull()
  })

  test('a lease that it did not have is given to nobody new before it must be over; its token is never reached again', async () => {
    const { master, replica, link, store, promote } = await pair()
    const first = await store.lease('other', 'x', 1500)
    await replicated(master, replica)
    link.cut()
    const lost = await store.lease('relay', 'old', 1500)
    expect(lost?.valid()).toBe(true)
    await promote()
    await settled(async () => (await store.get('config').catch(() => 'away')) === null)
    let next = await store.lease('relay', 'new', 1500)
    expect(next).toBeUndefined()
    await settled(async () => {
      const held = lost?.valid()
      next = await store.lease('relay', 'new', 1500)
      expect(next !== undefined && held).toBe(false)
      return next !== undefined
    })
    expect(next?.token.number).toBeGreaterThan(lost?.token.number ?? Number.NaN)
    expect(lost?.token.number).toBeGreaterThan(first?.token.number ?? Number.NaN)
    expect(next?.token.lineage).toBe(lost?.token.lineage)
    expect(await lost?.renew()).toBe(false)
  })

  test('with `wait` a write is committed only when a replica has it', async () => {
    const { replica, store, promote } = await pair({ wait: { replicas: 1, timeout: '300ms' } })
    const begin = writeId()
    // The master may hold it back until it hears from its new replica.
    const first = committed(await settle(() => store.put('config', Buffer.from('v1'), null, begin, note)))
    replica.pause()
    const id = writeId()
    const put = () => store.put('config', Buffer.from('v2'), first, id, note)
    expect(await put()).toMatchObject({ status: 'unknown' })
    // It is there, and repeated it is no conflict; but no replica has it yet.
    expect(textOf(await store.get('config'))).toBe('v2')
    expect(await put()).toMatchObject({ status: 'unknown' })
    await expect(store.lease('relay', 'me', 5000)).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
    replica.resume()
    expect(committed(await settle(put)).number).toBe(2)
    await promote()
    await settled(async () => textOf(await store.get('config').catch(() => null)) === 'v2')
  })

  test('with `min-replicas-to-write 1` a master that has lost its replica takes no more writes: none is acknowledged that a failover would lose', async () => {
    const { master, replica, link, store, promote } = await pair()
    await master.command('config', 'set', 'min-replicas-to-write', 1)
    const good = () => replicationField(master, 'min_slaves_good_slaves')
    await settled(async () => (await good()) === '1')
    const first = await write(store, 'config', 'v1', null)
    await replicated(master, replica)
    link.cut()
    await settled(async () => (await good()) === '0')
    const refused = { code: 'MR_STORE_UNAVAILABLE', message: expect.stringContaining('NOREPLICAS') }
    const second = store.put('config', Buffer.from('v2'), first, writeId(), note)
    await expect(second).rejects.toMatchObject(refused)
    await expect(store.lease('relay', 'me', 1500)).rejects.toMatchObject(refused)
    expect(textOf(await store.get('config'))).toBe('v1')
    await promote()
    await settled(async () => (await store.get('config').catch(() => null)) !== null)
    expect((await store.get('config', { fresh: true }))?.revision).toEqual(first)
  })

  test('a replica is not read from, and not written to', async () => {
    const { replica } = await pair()
    const { store } = await makeStore({ url: replica.url, timeout: '1s' })
    await expect(store.get('config')).rejects.toMatchObject({
      code: 'MR_STORE_UNAVAILABLE',
      message: expect.stringContaining('replica'),
    })
    await expect(store.put('config', Buffer.from('x'), null, writeId(), note)).rejects.toMatchObject({
      code: 'MR_STORE_UNAVAILABLE',
    })
  })

  test('a master that becomes a replica under a connection refuses writes, and is left', async () => {
    const { master, replica, store } = await pair()
    const first = await write(store, 'config', 'v1', null)
    await replica.command('replicaof', 'no', 'one')
    await master.command('replicaof', '127.0.0.1', replica.port)
    await expect(store.put('config', Buffer.from('v2'), first, writeId(), note)).rejects.toMatchObject({
      code: 'MR_STORE_UNAVAILABLE',
    })
    await expect(store.get('config')).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
  })
})

test('restarted empty it is another store: another lineage', async () => {
  const server = await startRedis()
  const { store } = await makeStore({ url: server.url, timeout: '1s' })
  await write(store, 'config', 'v1', null)
  const lineage = await store.lineage()
  await server.kill()
  await server.start()
  await settled(async () => (await store.get('config').catch(() => 'away')) === null)
  expect(await store.lineage()).not.toBe(lineage)
})
