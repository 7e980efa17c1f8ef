/** Counts what a call on the hot path allocates. */
import { GCProfiler } from 'node:v8'
import { collect } from './leaks.ts'

/** What a call that allocates nothing may seem to cost: it measures under 1, and the smallest object is 16. */
export const maxBytes = 4

const calls = 5000
const warmUpCalls = 200_000
const warmUpMs = 250
const tries = 6

/** Calls on end. The last result is kept in a field: what is stored must be computed. */
class Loop {
  result: unknown = undefined
  readonly #run: (index: number) => unknown

  constructor(run: (index: number) => unknown) {
    this.#run = run
  }

  times(count: number): void {
    const run = this.#run
    for (let index = 0; index < count; index++) this.result = run(index)
  }
}

/**
 * Bytes of one call: warm-up, collection, 5,000 calls, median of five. Optimised code comes from another thread, on a busy
 * machine late, and may be thrown away again; until then it is the interpreter that allocates. So a high count is taken
 * again: who allocates by itself does so in every try.
 */
export async function bytesPerCall(run: (index: number) => unknown): Promise<number> {
  const loop = new Loop(run)
  let least = Number.POSITIVE_INFINITY
  for (let left = tries; left > 0 && least >= maxBytes; left--) {
    for (let round = 0; round < 2; round++) {
      const started = performance.now()
      for (let done = 0; done < warmUpCalls && performance.now() - started < warmUpMs; done += calls)
        loop.times(calls)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const counts = Array.from({ length: 5 }, () => allocated(() => loop.times(calls)) / calls)
    least = Math.min(least, counts.sort((a, b) => a - b)[2])
  }
  return least
}

/** Bytes that come into being during `work`, those included that were collected before its end. */
function allocated(work: () => void): number {
  collect()
  const profiler = new GCProfiler()
  profiler.start()
  const before = process.memoryUsage()
  work()
  const after = process.memoryUsage()
  let bytes = after.heapUsed - before.heapUsed
  for (const { beforeGC, afterGC } of profiler.stop()?.statistics ?? [])
    bytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize
  return Math.max(0, bytes) + Math.max(0, after.arrayBuffers - before.arrayBuffers)
}
