/**
 * Entry of a data thread. It loads the built-in plugins, then does what the main thread says; everything that carries
 * traffic is the data plane's. An error that nobody catches ends the thread; the main thread replaces it.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { AnyPlugin } from '../contracts/plugin.ts'
import { systemClock } from '../host/clock.ts'
import { HeldCode } from '../host/held-code.ts'
import { installResolver, loadPlugins, loadShipped } from '../host/loader.ts'
import { PluginMetrics } from '../observe/plugin-metrics.ts'
import { ThreadMetrics } from '../observe/thread-metrics.ts'
import { SharedArena } from './arena.ts'
import { FaultReport } from './fault-report.ts'
import type { FromThread, ThreadData, ToThread } from './messages.ts'
import type { PlaneModule } from './plane.ts'
import { CurrentRegistry } from './plugin-code.ts'
import { SharedTable } from './table.ts'
import { ThreadAgent } from './thread-agent.ts'
import { AccessBatch, threadLog } from './thread-log.ts'

/** Not at the top of the module: ending a thread while a module waits at its top can abort the whole process
 * (nodejs/node#43182). */
async function run(port: MessagePort, data: ThreadData, held: HeldCode): Promise<void> {
  const post = (message: FromThread): void => port.postMessage(message)
  const clock = systemClock
  const { builtins } = (await import(data.builtinsUrl)) as { builtins: readonly AnyPlugin[] }
  const registry = new CurrentRegistry(await loadPlugins([], builtins))
  const { DataPlane } = (await import(data.dataPlaneUrl)) as PlaneModule
  const arena = SharedArena.attach(data.arena, data.row)
  const access = new AccessBatch(clock, post)
  const pluginMetrics = PluginMetrics.attach(data.metrics, data.row)
  const log = threadLog(post, data.thread)
  const metrics = ThreadMetrics.attach(data.metrics, data.row)
  const faults = new FaultReport({ clock, log, post })
  const plane = new DataPlane({
    thread: data.row,
    seat: data.thread,
    threads: data.threads,
    zone: data.zone,
    clock,
    random: Math.random,
    table: SharedTable.attach(data.table),
    metrics,
    registry,
    shared: (key, bytes, ownerSlot) => arena.allocate(key, bytes, ownerSlot),
    pluginMetrics: (id, plugin) => pluginMetrics.of(id, plugin),
    log,
    pluginFault: (fault) => {
      metrics.pluginFault()
      faults.add(fault)
    },
    accessLog: (record) => access.add(record),
    ticketKeys: Buffer.from(data.ticketKeys),
  })
  const agent = new ThreadAgent({
    plane,
    clock,
    registry,
    loadPlugins: (plugins) => loadShipped(plugins, builtins, held),
    post,
  })
  port.on('message', (message: ToThread) => {
    if (message.type === 'stop') {
      plane.destroy()
      // What was posted before is delivered; what is still open ends with the thread. Records of the last turn come first.
      setImmediate(() => {
        access.flush()
        faults.flush()
        setImmediate(() => process.exit(0))
      })
    } else if (message.type === 'access-taken') access.taken(message.records)
    else agent.receive(message)
  })
  post({ type: 'online' })
}

if (!parentPort) throw new TypeError('data-thread is the entry of a worker thread')
const held = new HeldCode()
installResolver(held)
// A rejection is nobody's to catch: it ends the thread, and the main thread hears of it.
void run(parentPort, workerData as ThreadData, held)
