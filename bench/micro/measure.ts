/** Nanoseconds and bytes of a call: tinybench over samples of many calls, then the growth of the heap. */
import {
  bytesPerAwaitedCall,
  bytesPerCall,
  type Counting,
  usualCounting,
} from '../../test/conformance/allocation.ts'
import { packageUrl } from '../packages.ts'
import type { Running } from './case.ts'

export const defaultCalls = 1000

/** How much time a case gets. */
export interface Plan {
  /** Before the samples, in milliseconds. */
  readonly warmUpMs: number
  readonly timeMs: number
  /** Of its bytes, while the code does not seem to be optimised yet. */
  readonly counting: Omit<Counting, 'calls'>
}

export const plans = {
  full: { warmUpMs: 300, timeMs: 1200, counting: usualCounting },
  quick: { warmUpMs: 30, timeMs: 50, counting: { warmUpMs: 30, tries: 2 } },
} as const satisfies Record<string, Plan>

/** For the hooks of a plugin: quick or not, what they allocate is what the conformance kit finds. */
export const hookPlan = (quick: boolean): Plan => ({
  ...plans[quick ? 'quick' : 'full'],
  counting: usualCounting,
})

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
  const bytes = await countBytes(running, loop, awaited, ns, plan)
  return { ns, q1: perCall(0.25), q3: perCall(0.75), bytes, samples: samples.length, calls }
}

/** Linear between the neighbours. */
function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q
  const low = sorted[Math.floor(at)]
  return low + (sorted[Math.ceil(at)] - low) * (at - Math.floor(at))
}

/** Bytes are counted over this long at most, in milliseconds: of short calls thousands take no time. */
const countMs = { loop: 250, awaited: 20 }

function countBytes(running: Running, loop: Loop, awaited: boolean, ns: number, plan: Plan): Promise<number> {
  const within = (ms: number): number =>
    Math.max(1, Math.min(usualCounting.calls, Math.round((ms * 1e6) / ns)))
  // What is awaited has run for long enough.
  if (awaited) return bytesPerAwaitedCall(() => loop.once(), within(countMs.awaited))
  return bytesPerCall((index) => running.run(index), { ...plan.counting, calls: within(countMs.loop) })
}
