import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { ThreadMetrics } from '../../core/observe/thread-metrics.ts'
import { DataPlane } from '../../core/proxy/data-plane.ts'
import type { ServiceRuntime } from '../../core/proxy/service-runtime.ts'
import type { ThreadSnapshot } from '../../core/proxy/thread-snapshot.ts'
import { SharedTable } from '../../core/threads/table.ts'
import { builtins } from '../../plugins/manifest.ts'
import { load, web } from '../config/load-text.ts'
import { collect } from '../conformance/leaks.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { freePort } from '../harness/redis.ts'

/** A data plane without a thread around it. */
function planeWith(clock: FakeClock): DataPlane {
  const registry = new PluginRegistry()
  for (const plugin of builtins) registry.add(builtIn(plugin))
  const shape = { threads: 1, slots: 8, services: 2 }
  const plane = new DataPlane({
    thread: 0,
    threads: 1,
    clock,
    random: () => 0.5,
    table: SharedTable.create(shape),
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
  const server = createServer((_, answer) => {
    waiting.push(answer)
    if (waiting.length === backend.together) for (const one of waiting.splice(0)) one.end('ok')
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
