/** What a data thread drives: the surface of `DataPlane`, so that a test can put another in its place. */
import type { Clock, Log, Metrics } from '../contracts/plugin.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { AccessRecord } from '../observe/access-record.ts'
import type { ThreadMetrics } from '../observe/thread-metrics.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import type { PluginFault } from './fault-report.ts'
import type { SharedTable } from './table.ts'

export interface PlaneDeps {
  /** Row of the shared tables that is this thread's alone. */
  readonly thread: number
  /** What plugins are told the thread is, from 0 to `threads`; absent: the row. */
  readonly seat?: number
  readonly threads: number
  /** Zone of this node; absent or empty: none. */
  readonly zone?: string
  readonly clock: Clock
  random(): number
  readonly table: SharedTable
  readonly metrics: ThreadMetrics
  readonly registry: PluginRegistry
  /** Memory shared by all threads; `ownerSlot` -1: belongs to no backend. */
  shared(key: string, bytes: number, ownerSlot: number): Uint8Array<SharedArrayBuffer>
  pluginMetrics(id: string, plugin: string): Metrics
  readonly log: Log
  /** A plugin threw, or did what it must not: counted and logged. */
  pluginFault(fault: PluginFault): void
  accessLog(record: AccessRecord): void
  /** 48 bytes, the same in all threads. */
  readonly ticketKeys: Buffer
}

/** `P` is what `prepare` gives and `commit` or `discard` takes. */
export interface Plane<P = unknown> {
  /** Makes instances and opens new listeners, not yet serving. A throw refuses the snapshot and must leave nothing behind. */
  prepare(snapshot: ThreadSnapshot): Promise<P>
  /** Switches to what was prepared. Synchronous; a throw ends the thread. */
  commit(prepared: P): void
  discard(prepared: P): Promise<void>
  /** From now on responses carry `Connection: close`. */
  startDrain(): void
  closeListeners(): Promise<void>
  /** Closes connections on which no exchange is active. */
  closeIdle(): void
  readonly activeExchanges: number
  readonly clientConnections: number
  /**
   * Revision of the oldest snapshot that an exchange or upstream connection of this thread still uses; the committed one
   * when there is nothing older. Slots of older snapshots are reused only after it has passed them.
   */
  readonly oldestRevision: number
  destroy(): void
}

/** What the module at `dataPlaneUrl` exports. */
export interface PlaneModule {
  readonly DataPlane: new (deps: PlaneDeps) => Plane
}
