import { once } from 'node:events'
import { createServer, request as httpRequest, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { BreakerGate } from '../../core/contracts/circuit-breaker.ts'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { ThreadMetrics } from '../../core/observe/thread-metrics.ts'
import { DataPlane } from '../../core/proxy/data-plane.ts'
import type { Exchange } from '../../core/proxy/exchange.ts'
import type { ServiceRuntime } from '../../core/proxy/service-runtime.ts'
import type { ThreadSnapshot } from '../../core/proxy/thread-snapshot.ts'
import { health, SharedTable } from '../../core/threads/table.ts'
import { builtins } from '../../plugins/manifest.ts'
import { load, web } from '../config/load-text.ts'
import { collect } from '../conformance/leaks.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { freePort } from '../harness/redis.ts'

const shape = { threads: 1, slots: 8, services: 2 }

/** A data plane without a thread around it. */
function planeWith(clock: FakeClock, table?: SharedTable): DataPlane {
  const registry = new PluginRegistry()
  for (const plugin of builtins) registry.add(builtIn(plugin))
  const plane = new DataPlane({
    thread: 0,
    threads: 1,
    clock,
    random: () => 0.5,
    table: table ?? SharedTable.create(shape),
    metrics: ThreadMetrics.attach(ThreadMetrics.create(shape), 0),
    registry,
    shared: (_key, bytes) => new Uint8Array(new SharedArrayBuffer(bytes)),
    pluginMetrics: () => ({ counter: () => ({ add() {} }), gauge: () => ({ set() {} }) }),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    pluginFault() {},
    accessLog() {},
    ticketKeys: Buffer.alloc(48),
  })
  onTestFinished(() => plane.destroy())
  return plane
}

async function snapshotOf(...urls: string[]): Promise<ThreadSnapshot> {
  const services = { app: { backends: urls, breaker: false } }
  const { snapshot } = await load(`${web}routes: [{ service: app }]\nservices: ${JSON.stringify(services)}`)
  const config = snapshot.services.app
  const placement = { index: 0, slots: urls.map((_, i) => i), table: undefined }
  return { ...snapshot, listeners: [], services: new Map([['app', { config, placement }]]), ports: {} }
}

test('a prepared config that is discarded leaves no timer behind', async () => {
  const clock = new FakeClock()
  const plane = planeWith(clock)
  const before = clock.pending
  const prepared = await plane.prepare(await snapshotOf('http://localhost:1', 'http://127.0.0.1:1'))
  await plane.discard(prepared)
  expect(clock.pending).toBe(before)
})

test('a name that stays over reloads has one timer, and none when its backend is gone', async () => {
  const clock = new FakeClock()
  const plane = planeWith(clock)
  const before = clock.pending
  for (let reload = 0; reload < 3; reload++) {
    plane.commit(await plane.prepare(await snapshotOf('http://localhost:1')))
    expect(clock.pending).toBe(before + 1)
  }
  plane.commit(await plane.prepare(await snapshotOf('http://127.0.0.1:1')))
  // Asked by the main thread, now and then: it also lets go of what has ended.
  expect(plane.oldestRevision).toBe(0)
  expect(clock.pending).toBe(before)
})

/** Answers when so many requests wait. */
async function togetherBackend(): Promise<{ readonly url: string; together: number }> {
  const waiting: ServerResponse[] = []
  const server = createServer((request, answer) => {
    request.resume().once('end', () => {
      waiting.push(answer)
      if (waiting.length === backend.together) for (const one of waiting.splice(0)) one.end('ok')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const backend = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, together: 1 }
  return backend
}

test('versions that reloads have replaced are let go, though an exchange of the first has lain in the pool since', async () => {
  const plane = planeWith(new FakeClock())
  const backend = await togetherBackend()
  const port = await freePort()
  /** Each version of the service but the one that runs. */
  const replaced: WeakRef<ServiceRuntime>[] = []
  let running: WeakRef<ServiceRuntime> | undefined
  const reload = async (...more: string[]): Promise<void> => {
    const snapshot = await snapshotOf(backend.url, ...more)
    const { snapshot: own } = await load(web)
    const listeners = own.listeners.map((listener) => ({ ...listener, port }))
    const prepared = await plane.prepare({ ...snapshot, listeners })
    plane.commit(prepared)
    if (running) replaced.push(running)
    running = new WeakRef(prepared.runtime.services.get('app')!)
  }
  const get = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text()

  await reload()
  backend.together = 3
  expect(await Promise.all([get(), get(), get()])).toEqual(['ok', 'ok', 'ok'])
  backend.together = 1
  for (let i = 0; i < 4; i++) {
    await reload(...(i % 2 === 0 ? ['http://127.0.0.2:1'] : []))
    // The exchange on top of the pool; the others stay where they are.
    await get()
  }
  await nextTurn()
  collect()
  expect(replaced.map((version) => version.deref())).toEqual([undefined, undefined, undefined, undefined])
  expect(running?.deref()).toBeDefined()
})

/** Refuses all. */
const refusing: BreakerGate = { state: 'open', tryAcquire: () => 0, settle() {} }

test.each([
  ['is refused by its breaker at last', () => {}, 2],
  [
    'goes down in the second version',
    (table: SharedTable, version: number) => {
      if (version === 1) table.health[0] = health.down
    },
    0,
  ],
])('rolling replacements leave nothing of former versions, where a backend that stays %s', async (_, change, refused) => {
  const table = SharedTable.create(shape)
  const plane = planeWith(new FakeClock(), table)
  const versions: WeakRef<object>[] = []
  const backends: WeakRef<object>[] = []
  const step = async (version: number): Promise<void> => {
    const rolling = (number: number) => ({ url: `http://127.0.0.2:${1000 + number}`, slot: 1 + (number % 4) })
    const members = [{ url: 'http://127.0.0.1:1', slot: 0 }, rolling(version), rolling(version + 1)]
    const snapshot = await snapshotOf(...members.map(({ url }) => url))
    const { config } = snapshot.services.get('app')!
    const placement = { index: 0, slots: members.map(({ slot }) => slot), table: undefined }
    const services = new Map([['app', { config, placement }]])
    const prepared = await plane.prepare({ ...snapshot, revision: version + 1, services })
    plane.commit(prepared)
    // Asked by the main thread, now and then: it also lets go of what has ended.
    expect(plane.oldestRevision).toBe(version + 1)
    const service = prepared.runtime.services.get('app')!
    for (const backend of service.backends) backend.breaker = undefined
    // The last one of each version, and the one that stays once.
    if (refused > 0) {
      service.backends[version === 0 ? 0 : 1].breaker = refusing
      service.backends[refused].breaker = refusing
    }
    change(table, version)
    table.epoch[0]++
    const exchange = { startMs: 0, tried: undefined, preferred: undefined, gate: undefined, token: 0 }
    for (let pick = 0; pick < 6; pick++) service.pick(exchange as unknown as Exchange)
    versions.push(new WeakRef(service))
    for (const backend of service.backends.slice(1)) backends.push(new WeakRef(backend))
  }
  for (let version = 0; version < 8; version++) await step(version)
  await nextTurn()
  collect()
  const alive = (refs: readonly WeakRef<object>[]) => new Set(refs.map((ref) => ref.deref())).size
  // The running one, and `undefined` for those that are gone.
  expect(alive(versions)).toBe(2)
  expect(alive(backends)).toBe(3)
})

test('memory of an upload that passes through is given back, and only then', async () => {
  const given = vi.spyOn(ArrayBuffer.prototype, 'transfer')
  onTestFinished(() => given.mockRestore())
  const plane = planeWith(new FakeClock())
  const backend = await togetherBackend()
  const port = await freePort()
  const snapshot = await snapshotOf(backend.url)
  const { snapshot: own } = await load(web)
  plane.commit(
    await plane.prepare({ ...snapshot, listeners: own.listeners.map((listener) => ({ ...listener, port })) }),
  )
  const upload = async (method: string, length: number, chunked = false): Promise<number> => {
    given.mockClear()
    const headers = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': length }
    const sent = httpRequest({ host: '127.0.0.1', port, method, headers })
    sent.end(Buffer.alloc(length, 'u'))
    const [answer] = await once(sent, 'response')
    expect(answer.statusCode).toBe(200)
    await once(answer.resume(), 'end')
    return given.mock.calls.length
  }

  expect(await upload('POST', 1 << 22)).toBeGreaterThan(0)
  expect(await upload('POST', 1 << 22, true)).toBeGreaterThan(0)
  // For another try; and too little to be worth it.
  expect(await upload('PUT', 32_768)).toBe(0)
  expect(await upload('POST', 4096)).toBe(0)
})
