/** Where time comes from. Nothing else in the core reads a clock or sets a timer of the platform; tests inject their own. */

import { performance } from 'node:perf_hooks'

/** A timer made by {@link RawClock}. `cancel` is idempotent. */
export interface RawTimer {
  cancel(): void
}

/** Time without attribution; plugins get a {@link Clock} over it whose timers belong to them. */
export interface RawClock {
  /** Monotonic milliseconds since an arbitrary start; fractional. */
  now(): number
  /** Milliseconds since the Unix epoch. */
  wall(): number
  /** Calls `run` once after `ms` milliseconds, never early. Infinity: never. */
  after(ms: number, run: () => void): RawTimer
  /** Calls `run` every `ms` milliseconds until cancelled; runs missed while the loop stalled are skipped. */
  every(ms: number, run: () => void): RawTimer
}

/** What the platform's timers can hold; anything longer they would fire at once. */
const longestMs = 2 ** 31 - 1

class SystemTimer implements RawTimer {
  #handle: NodeJS.Timeout | undefined

  constructor(ms: number, run: () => void) {
    this.#arm(ms, run)
  }

  cancel(): void {
    clearTimeout(this.#handle)
    this.#handle = undefined
  }

  #arm(ms: number, run: () => void): void {
    this.#handle =
      ms <= longestMs ? setTimeout(run, ms) : setTimeout(() => this.#arm(ms - longestMs, run), longestMs)
  }
}

/** Imported, not the global of the same name: that one is a getter, which each look-up pays for. */
const now = (): number => performance.now()

/** The platform's clock. Its timers keep the process alive until they are cancelled. */
export const systemClock: RawClock = {
  now,
  wall: () => Date.now(),
  after: (ms, run) => new SystemTimer(ms, run),
  every(ms, run) {
    const handle = setInterval(run, Math.min(ms, longestMs))
    return { cancel: () => clearInterval(handle) }
  },
}
