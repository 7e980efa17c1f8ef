/** All memory that the threads share, who owns what in it, and what is cleared when an owner goes. Main thread only. */
import { MetricsReader } from '../observe/metrics-reader.ts'
import { type MetricsBuffers, ThreadMetrics } from '../observe/thread-metrics.ts'
import { SharedArena } from './arena.ts'
import { type FreedSlot, SlotPool } from './slots.ts'
import { health, SharedTable } from './table.ts'

/** Untouched pages cost address space, not memory. */
const capacity = { slots: 32_768, services: 4096 } as const

export class SharedState {
  readonly table: SharedTable
  readonly arena: SharedArena
  readonly metrics: MetricsBuffers
  readonly reader: MetricsReader
  readonly slots: SlotPool
  readonly services: SlotPool

  constructor(threads: number) {
    const shape = { threads, ...capacity }
    this.table = SharedTable.create(shape)
    this.arena = SharedArena.create()
    this.metrics = ThreadMetrics.create(shape)
    this.reader = new MetricsReader(this.metrics)
    this.slots = new SlotPool(shape.slots, (freed) => this.#clearBackends(freed))
    this.services = new SlotPool(shape.services, (freed) => this.#clearServices(freed))
  }

  /** What a thread that has died held. */
  clearThread(thread: number): void {
    this.table.clearThread(thread)
    this.arena.breakLock(thread)
    this.reader.clearThread(thread)
  }

  #clearBackends(freed: readonly FreedSlot[]): void {
    const { table } = this
    for (const { slot } of freed) {
      for (const rows of [table.inFlight, table.open, table.idle]) for (const row of rows) row[slot] = 0
      table.health[slot] = health.unknown
      table.drained[slot] = 0
      table.breaker[slot] = 0
      table.generation[slot]++
      this.reader.clearBackend(slot)
    }
    this.arena.releaseOwners(new Set(freed.map(({ slot }) => slot)))
  }

  #clearServices(freed: readonly FreedSlot[]): void {
    const { table } = this
    for (const { slot, name } of freed) {
      for (const rows of [table.active, table.retrying, table.queued]) for (const row of rows) row[slot] = 0
      this.reader.clearService(slot)
      // A service of the name that is there again shares the memory of the old one.
      if (!this.services.claimed(name)) this.arena.releasePrefix(`service/${name}/`)
    }
  }
}
