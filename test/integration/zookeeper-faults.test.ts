/** The ZooKeeper store while servers are killed, stopped, cut off and restarted, and while its own process is stopped. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { ConfigStore, Lease, PutResult, Revision } from 'millrace'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { startRelay } from '../harness/relay.ts'
import { until } from '../harness/until.ts'
import { type Ensemble, startEnsemble, startZookeeper, type ZookeeperServer } from '../harness/zookeeper.ts'
import { makeStore, note, settle, textOf, write, writeId } from '../harness/zookeeper-store.ts'

const cleanup = untilFileEnds()
const newBase = (): string => `/${randomUUID()}`

const committed = (result: PutResult): Revision => {
  expect(result.status).toBe('committed')
  return (result as { revision: Revision }).revision
}

/** Writes, one after the other, until enough: each is settled, whatever was said of it first. @returns the ids, and the last */
async function writeOn(store: ConfigStore, enough: (written: number) => boolean) {
  const ids: string[] = []
  let head: Revision | null = null
  while (!enough(ids.length)) {
    const id = writeId()
    const expected: Revision | null = head
    head = committed(await settle(() => store.put('config', Buffer.from(id), expected, id, note)))
    ids.push(id)
  }
  return { ids, head }
}

async function expectHistory(store: ConfigStore, ids: readonly string[]): Promise<void> {
  const history = await store.history('config', { limit: 1000 })
  expect(history.map(({ revision }) => revision.id)).toEqual(ids.toReversed().slice(0, 100))
  expect(history[0].revision.number).toBe(ids.length)
  for (const { revision } of history.slice(0, 5))
    expect(textOf(await store.revision('config', revision))).toBe(revision.id)
}

/** What a watch has told. */
async function watching(store: ConfigStore) {
  const hints: (number | undefined)[] = []
  let state = 'down'
  const watch = store.watch?.(['config'], {
    hint: (_document, revision) => void hints.push(revision?.number),
    bus: (now) => {
      state = now
    },
  })
  onTestFinished(() => watch?.close())
  await until('the bus is up', () => state === 'up')
  return { hints, state: () => state }
}

describe('one server', () => {
  let server: ZookeeperServer
  let url = ''
  beforeAll(async () => {
    server = await startZookeeper({ cleanup })
  })
  beforeEach(() => {
    url = server.url + newBase()
  })

  test('killed and started again in the middle of writes: each takes effect once, and none is lost', async () => {
    const { store } = await makeStore({ url, timeout: '2s' })
    let killed = 0
    let written = 0
    const killer = (async () => {
      for (; killed < 3; killed++) {
        const before = written
        await until('some are written', () => written > before + 5, { timeoutMs: 30_000 })
        await server.kill()
        await server.start()
      }
    })()
    const { ids } = await writeOn(store, (count) => {
      written = count
      return killed === 3 && count > 40
    })
    await killer
    await expectHistory(store, ids)
  })

  test('stopped for longer than the limit: what was not sent is told as that, and never comes', async () => {
    const { store } = await makeStore({ url, timeout: '400ms' })
    const first = await write(store, 'config', 'v1', null)
    const watch = await watching(store)
    server.pause()
    onTestFinished(() => server.resume())
    const put = () => store.put('config', Buffer.from('v2'), first, 'write-2-0123456789abcdef', note)
    await expect(put()).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
    await expect(store.get('config')).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
    expect(watch.state()).toBe('down')
    server.resume()
    await until('the bus is up again', () => watch.state() === 'up', { timeoutMs: 20_000 })
    expect((await store.history('config')).map(({ revision }) => revision.number)).toEqual([1])
    expect(committed(await settle(put)).number).toBe(2)
    await until('a hint', () => watch.hints.at(-1) === 2)
  })

  test('connections that end under many writes: each is committed once, whatever was said of it first', async () => {
    const relay = await startRelay(server.port)
    const { store } = await makeStore({
      url: url.replace(String(server.port), String(relay.port)),
      timeout: '2s',
    })
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
      await Promise.any(first)
      relay.cut()
      relay.heal()
      const outcomes = (await Promise.all(first)) as PutResult[]
      others += outcomes.filter(({ status }) => status !== 'committed').length
      for (const put of puts) expect(committed(await settle(put)).number).toBe(1)
    }
    const heads = await store.heads('doc/')
    expect(heads.length).toBe(40 * rounds)
    for (const { revision, bytes } of heads) expect([revision.number, bytes]).toEqual([1, 2000])
  })

  test('a connection that carries nothing any more is given up, and the session with it: calls and watches have another', async () => {
    const relay = await startRelay(server.port)
    const { store } = await makeStore({
      url: url.replace(String(server.port), String(relay.port)),
      timeout: '500ms',
    })
    const first = await write(store, 'config', 'v1', null)
    const watch = await watching(store)
    relay.freeze()
    await until('the bus is down', () => watch.state() === 'down')
    await expect(store.get('config')).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
    relay.heal()
    await until('the bus is up again', () => watch.state() === 'up')
    await write(store, 'config', 'v2', first)
    await until('a hint', () => watch.hints.at(-1) === 2)
  })

  test('a server that was not there at the start is found when it comes', async () => {
    await server.kill()
    const { store } = await makeStore({ url, timeout: '1s' })
    await expect(store.get('config')).rejects.toMatchObject({
      code: 'MR_STORE_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    await expect(store.put('config', Buffer.from('x'), null, writeId(), note)).rejects.toMatchObject({
      code: 'MR_STORE_UNAVAILABLE',
    })
    await server.start()
    await expect.poll(() => store.get('config').catch(() => 'away'), { timeout: 10_000 }).toBeNull()
  })

  test('at stop calls under way are refused, and leases are left to lapse: nobody has them at once', async () => {
    const { store, stop } = await makeStore({ url })
    const rival = await makeStore({ url })
    await write(store, 'config', 'v1', null)
    const lease = await store.lease('relay', 'me', 1500)
    expect(await rival.store.lease('relay', 'rival', 1500)).toBeUndefined()
    server.pause()
    onTestFinished(() => server.resume())
    const reading = store.get('config').catch((error: unknown) => error)
    await stop()
    expect(await reading).toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
    expect(lease?.valid()).toBe(false)
    await expect(store.get('config')).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
    server.resume()
    expect(await rival.store.lease('relay', 'rival', 1500)).toBeUndefined()
    await expect.poll(() => rival.store.lease('relay', 'rival', 1500), { timeout: 10_000 }).toBeDefined()
  })

  test('a process that was stopped for longer than its lease and its session: it knows at once, and goes on with another', async () => {
    const { store } = await makeStore({ url })
    await write(store, 'config', 'v1', null)
    const script = path.resolve(import.meta.dirname, '../harness/zookeeper-holder.ts')
    const child = spawn(process.execPath, [script, url, '1500'], { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const answer = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value))
    const ask = (what: string): void => void child.stdin.write(`${what}\n`)
    const token = (await answer()) as number
    ask('renew')
    expect(await answer()).toBe(true)
    child.kill('SIGSTOP')
    // What it does first when it goes on.
    ask('valid')
    let next: Lease | undefined
    await expect
      .poll(async () => (next = await store.lease('relay', 'another', 60_000)), { timeout: 15_000 })
      .toBeDefined()
    expect(next?.token.number).toBeGreaterThan(token)
    const sessions = async () => (await server.ask('cons')).match(/sid=0x[1-9a-f]/g)?.length
    await expect.poll(sessions, { timeout: 20_000 }).toBe(1)
    child.kill('SIGCONT')
    expect(await answer()).toBe(false)
    ask('renew')
    expect(await answer()).toBe(false)
    ask('read')
    expect(await answer()).toBe(1)
    expect(next?.valid()).toBe(true)
    expect((await store.leases('')).map(({ holder }) => holder)).toEqual(['another'])
  })
})

describe('three servers', () => {
  let ensemble: Ensemble
  let base = ''
  beforeAll(async () => {
    ensemble = await startEnsemble({ cleanup })
  })
  beforeEach(() => {
    base = newBase()
  })

  test('leaders killed in the middle of writes: no acknowledged change is lost, and watches go on', async () => {
    const { store } = await makeStore({ url: ensemble.url + base, timeout: '3s' })
    const reader = await makeStore({ url: ensemble.url + base, timeout: '3s' })
    const watch = await watching(reader.store)
    let written = 0
    let killed = 0
    const killer = (async () => {
      for (; killed < 2; killed++) {
        const before = written
        await until('some are written', () => written > before + 5, { timeoutMs: 30_000 })
        const leader = await ensemble.leader()
        await leader.kill()
        const without = written
        await until('the others go on', () => written > without + 5, { timeoutMs: 30_000 })
        await leader.start()
      }
    })()
    const { ids, head } = await writeOn(store, (count) => {
      written = count
      return killed === 2 && count > 40
    })
    await killer
    await expectHistory(store, ids)
    await until('the bus is up', () => watch.state() === 'up')
    await write(store, 'config', 'last', head)
    await until('a hint', () => watch.hints.at(-1) === ids.length + 1)
    // Whatever server is asked.
    for (const server of ensemble.servers) {
      const { store: own } = await makeStore({ url: server.url + base })
      expect((await own.get('config', { fresh: true }))?.revision.number).toBe(ids.length + 1)
    }
  })

  test('a follower is cut off from the others with its client: the holder stops before the majority gives the lease away', async () => {
    const leader = await ensemble.leader()
    const [cut, other] = ensemble.servers.filter((server) => server !== leader)
    const majority = `zookeeper://127.0.0.1:${leader.port},127.0.0.1:${other.port}${base}`
    const here = await makeStore({ url: cut.url + base, timeout: '30s' })
    const there = await makeStore({ url: majority })
    const reader = await makeStore({ url: cut.url + base })
    await write(here.store, 'config', 'v1', null)
    const ttlMs = 3000
    const lease = await here.store.lease('relay', 'here', ttlMs)
    expect(await lease?.renew()).toBe(true)
    const watch = await watching(reader.store)
    ensemble.cut(cut)
    const renewal = lease?.renew().catch((error: { code: string }) => error.code)
    let next: Lease | undefined
    let readsAfter = 0
    const deadline = performance.now() + 30_000
    while (!next && performance.now() < deadline) {
      next = await there.store.lease('relay', 'there', ttlMs)
      if (next) expect(lease?.valid()).toBe(false)
      // Its server goes on answering, as if nothing had happened.
      else if (!lease?.valid() && (await here.store.get('config'))?.revision.number === 1) readsAfter++
    }
    expect(next?.token.number).toBeGreaterThan(lease?.token.number ?? Number.NaN)
    expect(readsAfter).toBeGreaterThan(0)
    await until('the bus of a node there is down', () => watch.state() === 'down')
    // The majority goes on; what is said there is true.
    const head = await there.store.get('config', { fresh: true })
    await write(there.store, 'config', 'v2', head?.revision ?? null)
    await here.stop()
    expect(await renewal).toBe('MR_STORE_UNAVAILABLE')
    expect(lease?.valid()).toBe(false)
  })
})
