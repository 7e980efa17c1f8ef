/** What `millrace bench sync` writes as sync.json. */
import type { Machine } from '../stats/machine.ts'
import type { Quantiles } from '../stats/quantiles.ts'

/** Raised when a reader of older files would misunderstand. */
export const syncSchema = 1

/** One way of syncing with so many engines. Times in milliseconds, from the call that writes a change. */
export interface Spread {
  readonly approach: string
  readonly engines: number
  readonly changes: number
  /** Until an engine had it: every engine, every change. */
  readonly each: Quantiles
  /** Until the last engine had it: every change. */
  readonly last: Quantiles
  /** Per engine and change. */
  readonly hints: number
  readonly reads: number
  /** Reads of the store a second, by all engines, while nothing changed. */
  readonly idleReads: number
  readonly idleSeconds: number
}

/** Until the last of the engines had a change although something went wrong; milliseconds. `undefined`: it cannot happen there. */
export interface Faults {
  readonly approach: string
  readonly engines: number
  /** From the write, which was made as the bus fell silent for {@link SyncResults.silentMs}. */
  readonly silent: number | undefined
  /** From the write, whose hints none of them got. */
  readonly lost: number | undefined
  /** From when the store answered again after a kill, with a write at once. */
  readonly restart: number | undefined
}

export interface SyncResults {
  readonly schema: typeof syncSchema
  /** ISO 8601. */
  readonly startedAt: string
  readonly quick: boolean
  readonly seed: number
  readonly machine: Machine
  readonly backends: number
  readonly pollMs: number
  readonly reconcileMs: number
  /** Of the faults, so that they end in a time that is worth waiting for. */
  readonly faultReconcileMs: number
  readonly silentMs: number
  readonly spreads: readonly Spread[]
  readonly faults: readonly Faults[]
  readonly notes: readonly string[]
}
