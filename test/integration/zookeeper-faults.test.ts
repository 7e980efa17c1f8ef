/** The ZooKeeper store while servers are killed, stopped, cut off and restarted, and while its own process is stopped. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Lease, PutResult } from 'millrace'
import { beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { startRelay } from '../harness/relay.ts'
import { until } from '../harness/until.ts'
import { startZookeeper, type ZookeeperServer } from '../harness/zookeeper.ts'
import {
  committed,
  expectHistory,
  makeStore,
  note,
  settle,
  watching,
  write,
  writeId,
  writeOn,
} from '../harness/zookeeper-store.ts'

const cleanup = untilFileEnds()
const newBase = (): string => `/${randomUUID()}`

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

test('a connection that ends while another process has inherited it leaves the event loop in peace', async () => {
  const relay = await startRelay(server.port)
  const { store } = await makeStore({ url: url.replace(String(server.port), String(relay.port)) })
  const watch = await watching(store)
  const heir = spawn('sleep', ['60'], { stdio: 'ignore' })
  onTestFinished(() => void heir.kill('SIGKILL'))
  relay.cut()
  await until('the bus is down', () => watch.state() === 'down')
  relay.heal()
  await until('the bus is up again', () => watch.state() === 'up')
  const before = performance.eventLoopUtilization()
  const began = performance.now()
  await until('half a second of nothing is over', () => performance.now() - began > 500)
  // Where the loop goes round for nothing it is 1.
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.8)
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
