/** Time that stands still until a test moves it. */
import type { RawClock, RawTimer } from '../../core/host/clock.ts'

interface FakeTimer extends RawTimer {
  readonly order: number
  readonly everyMs: number | undefined
  readonly run: () => void
  due: number
}

export class FakeClock implements RawClock {
  #now: number
  readonly #wallOffset: number
  readonly #timers = new Set<FakeTimer>()
  #made = 0

  constructor(start: { now?: number; wall?: number } = {}) {
    this.#now = start.now ?? 1000
    this.#wallOffset = (start.wall ?? 1_700_000_000_000) - this.#now
  }

  /** Timers that are still to fire. */
  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now + this.#wallOffset
  }

  after(ms: number, run: () => void): RawTimer {
    return this.#timer(ms, undefined, run)
  }

  every(ms: number, run: () => void): RawTimer {
    return this.#timer(ms, Math.max(ms, 1), run)
  }

  /** Moves time on; timers that come due run in order, each at its own time. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.due)
      if (next.everyMs === undefined) this.#timers.delete(next)
      else next.due += next.everyMs
      next.run()
    }
    this.#now = end
  }

  /** As `advance`, but lets promises settle before, after each timer, and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms
    await settled()
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.advance(Math.max(0, next.due - this.#now))
      await settled()
    }
    this.advance(end - this.#now)
    await settled()
  }

  /** As if the event loop had stood still: time passes, and repeated timers fire only once for it. */
  stall(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers) {
      if (timer.everyMs !== undefined && timer.due < this.#now) timer.due = this.#now
    }
    this.advance(0)
  }

  #timer(ms: number, everyMs: number | undefined, run: () => void): RawTimer {
    const timer: FakeTimer = {
      order: this.#made++,
      everyMs,
      run,
      due: this.#now + Math.max(0, ms),
      cancel: () => this.#timers.delete(timer),
    }
    this.#timers.add(timer)
    return timer
  }

  #next(end: number): FakeTimer | undefined {
    let found: FakeTimer | undefined
    for (const timer of this.#timers) {
      if (timer.due > end) continue
      if (!found || timer.due < found.due || (timer.due === found.due && timer.order < found.order))
        found = timer
    }
    return found
  }
}

/** Lets everything that is already settled run on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
