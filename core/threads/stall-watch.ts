/** Notices that the event loop stood still: what came while it did, and right after, says nothing about a backend. */
import type { Clock, Timer } from '../contracts/plugin.ts'

const tickMs = 100
const stallMs = 1000

export class StallWatch {
  readonly #clock: Clock
  readonly #timer: Timer
  #lastTick: number
  /** Stalls so far. */
  #count = 0
  #ms = 0
  /** Results are not trusted before this. */
  #until = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
    this.#lastTick = clock.now()
    this.#timer = clock.every(tickMs, () => this.#tick())
  }

  /** True while, and for one tick after, the event loop has stood still for over a second. */
  recent(): boolean {
    const now = this.#clock.now()
    // Timers that are overdue may run before ours does.
    return now - this.#lastTick > stallMs + tickMs || now < this.#until
  }

  get stalls(): { readonly count: number; readonly ms: number } {
    return { count: this.#count, ms: this.#ms }
  }

  stop(): void {
    this.#timer.cancel()
  }

  #tick(): void {
    const now = this.#clock.now()
    const late = now - this.#lastTick - tickMs
    if (late > stallMs) {
      this.#until = now + tickMs
      this.#count++
      this.#ms += late
    }
    this.#lastTick = now
  }
}
