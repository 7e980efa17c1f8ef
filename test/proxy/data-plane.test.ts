import { expect, onTestFinished, test } from 'vitest'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { ThreadMetrics } from '../../core/observe/thread-metrics.ts'
import { DataPlane } from '../../core/proxy/data-plane.ts'
import type { ThreadSnapshot } from '../../core/proxy/thread-snapshot.ts'
import { SharedTable } from '../../core/threads/table.ts'
import { builtins } from '../../plugins/manifest.ts'
import { load, web } from '../config/load-text.ts'
import { FakeClock } from '../harness/fake-clock.ts'

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
