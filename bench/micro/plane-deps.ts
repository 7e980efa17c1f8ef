/** What a data plane needs, real but for the sockets and the threads around it. */
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { PluginMetrics } from '../../core/observe/plugin-metrics.ts'
import { ThreadMetrics } from '../../core/observe/thread-metrics.ts'
import { SharedArena } from '../../core/threads/arena.ts'
import type { PlaneDeps } from '../../core/threads/plane.ts'
import { SharedTable } from '../../core/threads/table.ts'
import { builtins } from '../../plugins/manifest.ts'
import { seeded } from '../fixtures/context.ts'
import { timerless } from './stand-ins.ts'

/** A fault would be measured in place of what was meant. */
function refuse(message: string, fields?: Record<string, unknown>): never {
  throw new Error(`${message} ${JSON.stringify(fields ?? {})}`)
}

/** @param slots how many backends there can be */
export function planeDeps(slots: number): PlaneDeps {
  const shape = { threads: 1, slots, services: 4 }
  const metrics = ThreadMetrics.create(shape)
  const pluginMetrics = PluginMetrics.attach(metrics, 0)
  const arena = SharedArena.create()
  const registry = new PluginRegistry()
  for (const plugin of builtins) registry.add(builtIn(plugin))
  return {
    thread: 0,
    threads: 1,
    clock: timerless,
    random: seeded(3),
    table: SharedTable.create(shape),
    metrics: ThreadMetrics.attach(metrics, 0),
    registry,
    shared: (key, bytes, ownerSlot) => arena.allocate(key, bytes, ownerSlot),
    pluginMetrics: (id, plugin) => pluginMetrics.of(id, plugin),
    log: { debug() {}, info() {}, warn: refuse, error: refuse },
    pluginFault: ({ message, fields }) => refuse(message, fields),
    accessLog() {},
    ticketKeys: Buffer.alloc(48),
  }
}
