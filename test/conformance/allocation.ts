/** Counts what a call allocates: the one recipe of the kit, of the plugins' own tests and of `millrace bench`, so that they agree. */
import { GCProfiler } from 'node:v8'
import { collect } from './leaks.ts'

/** What a call that allocates nothing may seem to cost: it measures under 1, and the smallest object is 16. */
export const maxBytes = 4

export interface Counting {
  /** Calls that are counted at once; fewer where so many would take too long. */
  readonly calls: number
  /** Milliseconds of each of the two warm-ups before them, at most. */
  readonly warmUpMs: number
  /** How often a high count is taken again, at most. */
  readonly tries: number
}

export const usualCounting: Counting = { calls: 5000, warmUpMs: 250, tries: 6 }

/** Calls in a warm-up, at most. */
const warmUpCalls = 200_000
const rounds = 5

/** Calls of a loop: a long one is compiled anew while it runs, round for round, which takes some 7 KB of code. */
const callsOfLoop = 100

/** Calls on end. The last result is kept in a field: what is stored must be computed. */
class Loop {
  result: unknown = undefined
  readonly #run: (index: number) => unknown

  constructor(run: (index: number) => unknown) {
    this.#run = run
  }

  times(count: number): void {
    for (let from = 0; from < count; from += callsOfLoop)
      this.#some(from, Math.min(count, from + callsOfLoop))
  }

  #some(from: number, to: number): void {
    const run = this.#run
    for (let index = from; index < to; index++) this.result = run(index)
  }
}

/**
 * Bytes of one call: warm-up, collection, 5,000 calls, median of five, less what counting itself takes. Optimised code comes from
 * another thread, on a busy machine late, and may be thrown away again; until then it is the interpreter that allocates. So a
 * high count is taken again: who allocates by itself does so in every try.
 *
 * @param run of one call; its result must not be a fraction, which would be boxed
 */
export async function bytesPerCall(
  run: (index: number) => unknown,
  { calls, warmUpMs, tries }: Counting = usualCounting,
): Promise<number> {
  const loop = new Loop(run)
  const own = await ownBytes()
  let least = Number.POSITIVE_INFINITY
  for (let left = tries; left > 0 && least >= maxBytes; left--) {
    for (let round = 0; round < 2; round++) {
      const started = performance.now()
      for (let done = 0; done < warmUpCalls && performance.now() - started < warmUpMs; done += calls)
        loop.times(calls)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const bytes = (await medianOf(() => loop.times(calls))) - own
    least = Math.min(least, Math.max(0, bytes) / calls)
  }
  return least
}

/** The same of a call that is awaited, without a warm-up of its own. */
export async function bytesPerAwaitedCall(run: () => Promise<unknown>, calls: number): Promise<number> {
  const own = await ownBytes()
  const bytes = await medianOf(async () => {
    for (let call = 0; call < calls; call++) await run()
  })
  return Math.max(0, bytes - own) / calls
}

/**
 * Counting itself takes 240 bytes, and over 3,000 the first few times: a byte for each of 5,000 calls, but ten where there are
 * 400. So it is done for nothing before.
 */
async function ownBytes(): Promise<number> {
  await medianOf(() => {})
  return medianOf(() => {})
}

async function medianOf(work: () => void | Promise<void>): Promise<number> {
  const counts: number[] = []
  for (let round = 0; round < rounds; round++) counts.push(await allocated(work))
  return counts.sort((a, b) => a - b)[rounds >> 1]
}

/** Bytes that come into being during `work`, those included that were collected before its end. */
async function allocated(work: () => void | Promise<void>): Promise<number> {
  collect()
  const profiler = new GCProfiler()
  profiler.start()
  const before = process.memoryUsage()
  await work()
  const after = process.memoryUsage()
  let bytes = after.heapUsed - before.heapUsed
  for (const { beforeGC, afterGC } of profiler.stop()?.statistics ?? [])
    bytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize
  // What buffers were freed meanwhile is not known.
  return Math.max(0, bytes) + Math.max(0, after.arrayBuffers - before.arrayBuffers)
}
