/** All memory that the threads share, who owns what in it, and what is cleared when an owner goes. Main thread only. */

import type { Snapshot } from '../config/snapshot.ts'
import type { PluginRegistry } from '../host/registry.ts'
import { MetricsReader } from '../observe/metrics-reader.ts'
import { PluginMetricsReader } from '../observe/plugin-metrics.ts'
import { type MetricsBuffers, ThreadMetrics } from '../observe/thread-metrics.ts'
import { SharedArena } from './arena.ts'
import { backendIds } from './placement.ts'
import { memoryName, metricsName, ownerOfKey, usesOf } from './shared-keys.ts'
import { type FreedSlot, type SlotPlan, SlotPool } from './slots.ts'
import { health, SharedTable } from './table.ts'

/** Untouched pages cost address space, not memory. */
const capacity = { slots: 32_768, services: 4096 } as const

/** The numbers that a snapshot needs. */
export interface Plan {
  readonly slots: SlotPlan
  readonly services: SlotPlan
  readonly memory: SlotPlan
  readonly metricUses: SlotPlan
}

const parts = ['slots', 'services', 'memory', 'metricUses'] as const

export class SharedState {
  readonly table: SharedTable
  readonly arena: SharedArena
  readonly metrics: MetricsBuffers
  readonly reader: MetricsReader
  readonly pluginMetrics: PluginMetricsReader
  readonly slots: SlotPool
  readonly services: SlotPool
  /** Uses of plugins need no number; these pools only say when nobody uses one any more. */
  readonly memory: SlotPool
  readonly metricUses: SlotPool

  /** @param rows one a thread, and one for each thread that may be there beside them */
  constructor(rows: number) {
    const shape = { threads: rows, ...capacity }
    this.table = SharedTable.create(shape)
    this.arena = SharedArena.create()
    this.metrics = ThreadMetrics.create(shape)
    this.reader = new MetricsReader(this.metrics)
    this.pluginMetrics = new PluginMetricsReader(this.metrics)
    this.slots = new SlotPool(shape.slots, (freed) => this.#clearBackends(freed))
    this.services = new SlotPool(shape.services, (freed) => this.#clearServices(freed))
    this.memory = new SlotPool(Number.MAX_SAFE_INTEGER, (freed) => this.#clearMemory(freed))
    this.metricUses = new SlotPool(Number.MAX_SAFE_INTEGER, (freed) => this.#clearMetrics(freed))
  }

  /** @throws MR_SHARED_FULL, MR_PLUGIN_UNKNOWN; nothing is taken then */
  plan(snapshot: Snapshot, registry: Pick<PluginRegistry, 'find'>): Plan {
    const taken: Partial<Record<keyof Plan, SlotPlan>> = {}
    const uses = usesOf(snapshot, registry)
    try {
      taken.slots = this.slots.plan(backendIds(snapshot))
      taken.services = this.services.plan(Object.keys(snapshot.services))
      taken.memory = this.memory.plan(new Set(uses.map(memoryName)))
      taken.metricUses = this.metricUses.plan(new Set(uses.map(metricsName)))
      return taken as Plan
    } catch (error) {
      this.abandon(taken)
      throw error
    }
  }

  /** The plan is served from this revision on; what it does not name is retired. */
  commit(plan: Plan, revision: number): void {
    for (const part of parts) this[part].commit(plan[part], revision)
  }

  /** The plan was refused, and no thread holds anything of it. */
  abandon(plan: Partial<Plan>): void {
    for (const part of parts) if (plan[part]) this[part].abandon(plan[part])
  }

  /** No thread uses a snapshot older than the revision. */
  release(revision: number): void {
    for (const part of parts) this[part].release(revision)
  }

  /** What a thread that has died held. */
  clearThread(row: number): void {
    this.table.clearThread(row)
    this.arena.breakLock(row)
    this.reader.clearThread(row)
    this.pluginMetrics.clearGauges(row)
  }

  #clearBackends(freed: readonly FreedSlot[]): void {
    const { table } = this
    for (const { slot } of freed) {
      for (const rows of [table.inFlight, table.open, table.idle]) for (const row of rows) row[slot] = 0
      table.health[slot] = health.unknown
      table.drained[slot] = 0
      table.breaker[slot] = 0
      table.forced[slot] = 0
      table.generation[slot]++
      this.reader.clearBackend(slot)
    }
    this.arena.releaseOwners(new Set(freed.map(({ slot }) => slot)))
  }

  #clearServices(freed: readonly FreedSlot[]): void {
    const { table } = this
    for (const { slot } of freed) {
      for (const rows of [table.active, table.retrying, table.queued]) for (const row of rows) row[slot] = 0
      this.reader.clearService(slot)
    }
  }

  /** What uses that have left asked for, also for backends that stay. */
  #clearMemory(freed: readonly FreedSlot[]): void {
    const gone = namesGone(freed, this.memory)
    if (gone.size === 0) return
    this.arena.releaseKeys((key) => gone.has(ownerOfKey(key) ?? ''))
  }

  #clearMetrics(freed: readonly FreedSlot[]): void {
    const gone = namesGone(freed, this.metricUses)
    if (gone.size > 0) this.pluginMetrics.release((plugin, id) => gone.has(metricsName({ plugin, id })))
  }
}

/** What is there again under the same name goes on with what the old one had. */
function namesGone(freed: readonly FreedSlot[], pool: SlotPool): ReadonlySet<string> {
  return new Set(freed.map(({ name }) => name).filter((name) => !pool.claimed(name)))
}
