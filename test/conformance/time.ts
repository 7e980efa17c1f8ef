/** Time and chance that the kit gives to plugins: nothing moves by itself, and a run that failed fails again. */
import type { Clock, Timer } from '../../core/contracts/index.ts'
import { type RawClock, type RawTimer, systemClock } from '../../core/host/clock.ts'

/** mulberry32: a seeded uniform source in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x100000000
  }
}

interface Planned {
  at: number
  readonly every: number
  readonly run: () => void
}

/** Time that moves only when it is told to. `monotonic` of two threads may differ, as it does between workers. */
export class FakeTime {
  #elapsed = 0
  readonly #planned = new Set<Planned>()

  /** A thread's clock; `origin` is what its monotonic clock shows at the start. */
  clock(origin = 0): Clock {
    return {
      now: () => origin + this.#elapsed,
      wall: () => 1_750_000_000_000 + this.#elapsed,
      after: (ms, run) => this.#plan(ms, 0, run),
      every: (ms, run) => this.#plan(ms, Math.max(ms, 1), run),
    }
  }

  /** Since the start, in milliseconds. */
  get elapsed(): number {
    return this.#elapsed
  }

  get timers(): number {
    return this.#planned.size
  }

  /** Timers that are due run in order of their time. */
  advance(ms: number): void {
    const end = this.#elapsed + ms
    while (this.#runNext(end)) {
      // One more.
    }
    this.#elapsed = end
  }

  /** As `advance`, but lets promises go on before, between the timers and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#elapsed + ms
    await settled()
    while (this.#runNext(end)) await settled()
    this.#elapsed = end
    await settled()
  }

  /** As if the event loop had stood still: time passes, and what has come due fires once, late. */
  stall(ms: number): void {
    this.#elapsed += ms
    for (const planned of this.#planned) if (planned.at < this.#elapsed) planned.at = this.#elapsed
    this.advance(0)
  }

  #runNext(end: number): boolean {
    let due: Planned | undefined
    for (const planned of this.#planned) if (planned.at <= end && (!due || planned.at < due.at)) due = planned
    if (!due) return false
    this.#elapsed = Math.max(this.#elapsed, due.at)
    if (due.every > 0) due.at += due.every
    else this.#planned.delete(due)
    due.run()
    return true
  }

  #plan(ms: number, every: number, run: () => void): Timer {
    const entry = { at: this.#elapsed + Math.max(ms, 0), every, run }
    this.#planned.add(entry)
    return { cancel: () => void this.#planned.delete(entry) }
  }
}

/** Real time that ends: what is still planned by then is cancelled. */
export class EndingTime {
  readonly #timers = new Set<RawTimer>()

  readonly clock: RawClock = {
    ...systemClock,
    after: (ms, run) => {
      const timer = systemClock.after(ms, () => {
        this.#timers.delete(timer)
        run()
      })
      return this.#held(timer)
    },
    every: (ms, run) => this.#held(systemClock.every(ms, run)),
  }

  end(): void {
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  #held(timer: RawTimer): RawTimer {
    this.#timers.add(timer)
    return {
      cancel: () => {
        this.#timers.delete(timer)
        timer.cancel()
      },
    }
  }
}

/** Lets everything that is already settled run on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Waits, in real time, until `condition` is neither false nor undefined. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | PromiseLike<T | undefined | false>,
  timeoutMs = 10_000,
): Promise<T> {
  const started = performance.now()
  for (;;) {
    const found = await condition()
    if (found !== undefined && found !== false) return found
    if (performance.now() - started > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
