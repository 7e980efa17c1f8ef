import type { BreakerGate, BreakerState, Outcome } from 'millrace'
import { elapsed, type SharedTime } from './shared-time.ts'

/** What closed breakers count, per backend. `generation` changes with each change of state: older counts are void. */
export interface FailureCounts {
  /** Both return true when the breaker is to open. */
  success(generation: number): boolean
  failure(generation: number): boolean
}

/** Read anew at each use, so that new options apply to gates that exist. */
export interface GateSettings {
  openMs: number
  permits: number
}

/** Bytes of shared memory at the start of a backend's cells that belong to the gate: one cache line. */
export const gateBytes = 64

/** Upper limit of `permits`: they are counted in 8 bits. */
export const maxPermits = 100

const closed = 0
const open = 1
const halfOpen = 2
const names: readonly BreakerState[] = ['closed', 'open', 'half-open']

/** Cells, int32. `phase` = generation (19 bits) · trials succeeded (8) · state (2). `grants` = generation · permits given. */
const phaseCell = 0
const openedAtCell = 1
const grantsCell = 2
const grantedAtCell = 3

const stateOf = (phase: number): number => phase & 3
const successesOf = (phase: number): number => (phase >>> 2) & 0xff
const generationOf = (phase: number): number => phase >>> 10
/** Generation and state, without what may change inside one state; > 0. */
const tokenOf = (phase: number): number => ((generationOf(phase) << 2) | stateOf(phase)) + 1
const following = (phase: number, state: number): number =>
  (((generationOf(phase) + 1) & 0x7ffff) << 10) | state

/**
 * The state machine of one backend's breaker, in memory that all threads share. closed → open when the counts say so;
 * open → half-open after `openMs`; half-open → closed after `permits` successes, → open at the first failure.
 * Zeroed memory is a closed breaker. Each change of state is one compare-and-set of `phase`, so exactly one thread makes
 * it; while closed there is only a plain load.
 */
export class Gate implements BreakerGate {
  private readonly cells: Int32Array
  private readonly counts: FailureCounts
  private readonly settings: Readonly<GateSettings>
  private readonly time: SharedTime
  private readonly changed: () => void

  constructor(
    cells: Int32Array,
    counts: FailureCounts,
    settings: Readonly<GateSettings>,
    time: SharedTime,
    changed: () => void,
  ) {
    this.cells = cells
    this.counts = counts
    this.settings = settings
    this.time = time
    this.changed = changed
  }

  get state(): BreakerState {
    return names[stateOf(this.current())]
  }

  // HOT
  tryAcquire(): number {
    const phase = this.cells[phaseCell]
    return stateOf(phase) === closed ? tokenOf(phase) : this.tryTrial()
  }

  // HOT
  settle(token: number, outcome: Outcome, _ms: number): void {
    const phase = this.cells[phaseCell]
    if (tokenOf(phase) !== token) return
    if (stateOf(phase) !== closed) {
      this.settleTrial(token, outcome)
      return
    }
    if (outcome === 'cancelled') return
    const generation = generationOf(phase)
    const tripped = outcome === 'success' ? this.counts.success(generation) : this.counts.failure(generation)
    if (tripped) this.trip(phase)
  }

  /** The phase now; an open one whose time is over becomes half-open. */
  private current(): number {
    const phase = Atomics.load(this.cells, phaseCell)
    if (stateOf(phase) !== open) return phase
    if (!elapsed(this.cells[openedAtCell], this.time.now(), this.settings.openMs)) return phase
    this.move(phase, halfOpen)
    return Atomics.load(this.cells, phaseCell)
  }

  /** A permit of the half-open state, or 0. Permits in flight and successes together are never more than `permits`. */
  private tryTrial(): number {
    const { cells, settings, time } = this
    for (;;) {
      const phase = this.current()
      if (stateOf(phase) !== halfOpen) return stateOf(phase) === closed ? tokenOf(phase) : 0
      const generation = generationOf(phase)
      const grants = Atomics.load(cells, grantsCell)
      let given = grants >>> 8 === generation ? grants & 0xff : 0
      const now = time.now()
      if (given >= settings.permits) {
        // Permits in flight for so long are taken for lost; should they settle after all, they still count.
        if (!elapsed(cells[grantedAtCell], now, settings.openMs)) return 0
        given = successesOf(phase)
      }
      // Before the compare-and-set: who sees the permit given must see since when.
      cells[grantedAtCell] = now
      const next = (generation << 8) | (given + 1)
      if (Atomics.compareExchange(cells, grantsCell, grants, next) === grants) return tokenOf(phase)
    }
  }

  private settleTrial(token: number, outcome: Outcome): void {
    const { cells } = this
    for (;;) {
      const phase = Atomics.load(cells, phaseCell)
      if (tokenOf(phase) !== token) return
      if (outcome === 'cancelled') {
        this.giveBack(phase)
        return
      }
      const successes = successesOf(phase) + 1
      if (outcome === 'failure') {
        if (this.trip(phase)) return
      } else if (successes >= this.settings.permits) {
        if (this.move(phase, closed)) return
      } else if (Atomics.compareExchange(cells, phaseCell, phase, phase + (1 << 2)) === phase) return
    }
  }

  /** The trial said nothing: another may take its place. */
  private giveBack(phase: number): void {
    const { cells } = this
    for (;;) {
      const grants = Atomics.load(cells, grantsCell)
      const given = grants & 0xff
      if (grants >>> 8 !== generationOf(phase) || given <= successesOf(phase)) return
      if (Atomics.compareExchange(cells, grantsCell, grants, grants - 1) === grants) return
    }
  }

  private trip(phase: number): boolean {
    this.cells[openedAtCell] = this.time.now()
    return this.move(phase, open)
  }

  private move(phase: number, state: number): boolean {
    const moved = Atomics.compareExchange(this.cells, phaseCell, phase, following(phase, state)) === phase
    if (moved) this.changed()
    return moved
  }
}
