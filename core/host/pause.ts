/** Waiting that can be called off. */
import type { RawClock } from './clock.ts'

/** Resolves after `ms`, or as soon as one of the signals has fired. */
export function pause(clock: RawClock, ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel()
      for (const signal of signals) signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.after(ms, done)
    for (const signal of signals) {
      if (signal.aborted) return done()
      signal.addEventListener('abort', done)
    }
  })
}
