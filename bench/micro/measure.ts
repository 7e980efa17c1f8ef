/** Nanoseconds and bytes of a call: tinybench over samples of many calls, then the growth of the heap. */
import { setTimeout as later } from 'node:timers/promises'
import { GCProfiler, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { packageUrl } from '../packages.ts'
import { median } from '../stats/summary.ts'
import type { Running } from './case.ts'

export const defaultCalls = 1000

/** How much time a case gets. */
export interface Plan {
  /** Before the samples, in milliseconds. */
  readonly warmUpMs: number
  readonly timeMs: number
  /** How often the bytes are counted anew at most, while the code does not seem to be optimised yet. */
  readonly tries: number
}

export const plans = {
  full: { warmUpMs: 300, timeMs: 1200, tries: 5 },
  quick: { warmUpMs: 30, timeMs: 50, tries: 2 },
} as const satisfies Record<string, Plan>

/** Of one call. */
export interface Measured {
  /** Nanoseconds: median and quartiles of the samples. */
  readonly ns: number
  readonly q1: number
  readonly q3: number
  /** Allocated on the heap and in array buffers. */
  readonly bytes: number
  readonly samples: number
  /** Calls in a sample. */
  readonly calls: number
}

/** Calls on end. The last result is kept in a field: what is stored must be computed. */
class Loop {
  result: unknown = undefined
  readonly #run: (index: number) => unknown
  #next = 0

  constructor(running: Running) {
    this.#run = (index) => running.run(index)
  }

  // HOT
  times(calls: number): void {
    const run = this.#run
    const first = this.#next
    const end = first + calls
    for (let index = first; index < end; index++) this.result = run(index)
    this.#next = end & 0x3fffffff
  }

  async once(): Promise<unknown> {
    const result = await this.#run(this.#next++)
    this.result = result
    return result
  }

  async repeat(calls: number, awaited: boolean): Promise<void> {
    if (!awaited) this.times(calls)
    else for (let call = 0; call < calls; call++) await this.once()
  }
}

/** @param calls in a sample; 1: each is awaited, and may say itself how long it took */
export async function measure(running: Running, calls: number, plan: Plan): Promise<Measured> {
  const { Bench } = (await import(packageUrl('tinybench'))) as typeof import('tinybench')
  const loop = new Loop(running)
  const awaited = calls === 1
  const bench = new Bench({
    time: plan.timeMs,
    warmupTime: plan.warmUpMs,
    iterations: awaited ? 3 : 5,
    warmupIterations: awaited ? 1 : 2,
    retainSamples: true,
    throws: true,
  })
  const sample = awaited ? () => loop.once() : () => loop.times(calls)
  bench.add('case', sample, { async: awaited })
  await bench.run()
  const result = bench.tasks[0].result
  const samples = 'latency' in result ? result.latency.samples : undefined
  if (samples === undefined) throw new Error(`no samples: the benchmark is ${result.state}`)
  const perCall = (q: number): number => (quantile(samples, q) * 1e6) / calls
  const ns = perCall(0.5)
  const bytes = await countBytes(loop, awaited, ns, plan)
  return { ns, q1: perCall(0.25), q3: perCall(0.75), bytes, samples: samples.length, calls }
}

/** Linear between the neighbours. */
function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q
  const low = sorted[Math.floor(at)]
  return low + (sorted[Math.ceil(at)] - low) * (at - Math.floor(at))
}

/** Bytes are counted over this long at most, in milliseconds. */
const countMs = 20
const countCalls = 5000

function countBytes(loop: Loop, awaited: boolean, ns: number, plan: Plan): Promise<number> {
  const calls = Math.max(1, Math.min(countCalls, Math.round((countMs * 1e6) / ns)))
  // What is awaited has run for long enough.
  const effort = awaited ? { tries: 1, warmUps: [] } : { tries: plan.tries, warmUps: [plan.warmUpMs] }
  return untilSettled(loop, { calls, awaited, ...effort })
}

/** Bytes that a call allocates, once its code has been optimised; for calls so short that thousands take no time. */
export function bytesPerCall(run: (index: number) => unknown): Promise<number> {
  return untilSettled(new Loop({ run }), { calls: countCalls, awaited: false, tries: 5, warmUps: [250, 250] })
}

/** The smallest object of V8. */
const bytesPerObject = 16
const warmUpCalls = 200_000

interface Counting {
  readonly calls: number
  readonly awaited: boolean
  readonly tries: number
  /** Milliseconds of each, at most. */
  readonly warmUps: readonly number[]
}

/** Optimised code comes from another thread, on a busy machine late, and may be thrown away: until then it is the
 * interpreter that allocates. Who allocates by itself does so in every try. */
async function untilSettled(loop: Loop, { calls, awaited, tries, warmUps }: Counting): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let left = tries; left > 0 && least >= bytesPerObject / 2; left--) {
    for (const warmUpMs of warmUps) {
      const started = performance.now()
      for (let done = 0; done < warmUpCalls && performance.now() - started < warmUpMs; done += calls)
        loop.times(calls)
      await later(10)
    }
    const rounds: number[] = []
    for (let round = 0; round < (awaited ? 3 : 5); round++)
      rounds.push((await allocated(() => loop.repeat(calls, awaited))) / calls)
    least = Math.min(least, median(rounds))
  }
  return least
}

/** Bytes that come into being during `work`, those included that were collected before its end. */
async function allocated(work: () => Promise<void>): Promise<number> {
  collect()
  const profiler = new GCProfiler()
  profiler.start()
  const before = process.memoryUsage()
  await work()
  const after = process.memoryUsage()
  const collections = profiler.stop()?.statistics ?? []
  let bytes = after.heapUsed - before.heapUsed
  for (const { beforeGC, afterGC } of collections)
    bytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize
  // What buffers were freed meanwhile is not known.
  return Math.max(0, bytes) + Math.max(0, after.arrayBuffers - before.arrayBuffers)
}

/** Collects all garbage; node need not have been started with --expose-gc. */
function collect(): void {
  if (globalThis.gc === undefined) {
    setFlagsFromString('--expose-gc')
    globalThis.gc = runInNewContext('gc') as typeof globalThis.gc
  }
  globalThis.gc?.()
}
