import type { Clock } from 'millrace'

/**
 * Time that all threads of the process agree on, in milliseconds, as int32. `clock.now()` cannot be shared: each worker
 * counts from its own start. So it is moved onto the wall clock, by an offset that is taken anew with each
 * {@link SharedTime.sync}: reading the wall clock itself costs an allocation. It wraps every 50 days: compare by
 * {@link elapsed} only. A wall clock that is set makes intervals that are under way end early or late once.
 */
export class SharedTime {
  private readonly clock: Clock
  /** [0] wall minus monotonic. A cell, as a double in a field may be boxed. */
  private readonly offset = new Float64Array(1)

  constructor(clock: Clock) {
    this.clock = clock
    this.sync()
  }

  sync(): void {
    this.offset[0] = this.clock.wall() - this.clock.now()
  }

  now(): number {
    return (this.clock.now() + this.offset[0]) | 0
  }

  /** Number of the interval of this length that it is now; int32, wraps. */
  interval(ms: number): number {
    return Math.floor((this.clock.now() + this.offset[0]) / ms) | 0
  }
}

/** Whether `ms` have passed from `since` to `now`. A start in the future means that the wall clock was set back, or
 * wrapped: then too. */
export function elapsed(since: number, now: number, ms: number): boolean {
  const passed = (now - since) | 0
  return passed >= ms || passed < -1000
}
