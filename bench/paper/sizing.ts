/** How many requests a second, and how many connections, a machine with one core and 4 GiB holds: by proxy, measured. */
import type { RunningArm } from '../arms/arm.ts'
import type { Block } from '../report/bench-results.ts'
import { seededRandom, shuffled } from '../stats/random.ts'
import { type Figures, figuresOf } from './measures.ts'
import { Rig } from './rig.ts'

export interface SizingPlan {
  readonly arms: readonly string[]
  /** Of clients, ascending; the first so many are at work, the others have done a request and wait. */
  readonly connections: readonly number[]
  /** How often everything is measured. */
  readonly rounds: number
  /** Whole ones, of a measurement. */
  readonly seconds: number
  /** Before the first measurement of a proxy, before further ones in a closed loop, and before each in an open loop. */
  readonly firstWarmupSeconds: number
  readonly warmupSeconds: number
  readonly openWarmupSeconds: number
}

const arms = ['millrace', 'nginx', 'haproxy']

export const sizingPlans = {
  full: {
    ...{ arms, connections: [64, 1000, 10_000], rounds: 3, seconds: 3 },
    ...{ firstWarmupSeconds: 6, warmupSeconds: 1, openWarmupSeconds: 2 },
  },
  quick: {
    ...{ arms, connections: [64, 10_000], rounds: 1, seconds: 2 },
    ...{ firstWarmupSeconds: 3, warmupSeconds: 1, openWarmupSeconds: 2 },
  },
} as const satisfies Record<string, SizingPlan>

/** At one number of client connections, at the sustained rate. Times in milliseconds. */
export interface AtConnections {
  readonly connections: number
  /** Of those that wait: still open at the end. */
  readonly held: number
  readonly rssMiB: Figures
  /** What the kernel's objects grew by with the connections that wait, for both ends of each. */
  readonly kernelMiB: number
  readonly cpuMicros: Figures
  /** From the intended start; `service` from when the request was sent; `lag`: how late the driver sent it. */
  readonly p50: Figures
  readonly p99: Figures
  readonly serviceP99: Figures
  readonly lagP99: Figures
  /** Measurements in which a queue grew or a request failed all the same. */
  readonly overloaded: number
}

export interface Sized {
  readonly arm: string
  /** Closed loop, by wrk: all that it can. */
  readonly saturation: Figures
  /** At saturation. */
  readonly cpuMicros: Figures
  /** Requests a second, open loop. */
  readonly sustained: number
  /** What keeps it from being more: `proxy`, as it is `aim` of the saturation, or the load generator beside it. */
  readonly limit: 'proxy' | 'rig'
  readonly at: readonly AtConnections[]
}

export interface SizingResults extends SizingPlan {
  readonly seed: number
  /** Share of the saturation that counts as sustained. */
  readonly aim: number
  readonly sized: readonly Sized[]
}

export interface SizingRun {
  readonly plan: SizingPlan
  readonly seed: number
  readonly signal: AbortSignal
  say(text: string): void
}

/** What a machine may be loaded with for good: beyond it, queues grow with every burst. */
export const aim = 0.75
/** The next rate to try when one was too much for the load generator; and what is left of the one that was not, for calm. */
const step = 0.8
/** The backend answers at once: where half of all requests take longer, a queue grows, if only before a free connection. */
const queueingMs = 10

/** @throws when a proxy does not start, or fails requests while it is saturated */
export function measureSizing(run: SizingRun): Promise<SizingResults> {
  const random = seededRandom(run.seed)
  const { plan, seed, signal } = run
  return Rig.with(random, signal, async (rig) => {
    const proxies: RunningProxy[] = []
    let rigLimit = Number.POSITIVE_INFINITY
    for (const arm of shuffled(plan.arms, random)) {
      const proxy = new RunningProxy(run, rig, arm, await rig.start(arm))
      await proxy.saturate()
      rigLimit = await proxy.tryRates(rigLimit)
      proxies.push(proxy)
    }
    const sized: Sized[] = []
    for (const proxy of shuffled(proxies, random)) sized.push(await proxy.size(rigLimit))
    return { ...plan, seed, aim, sized: plan.arms.flatMap((arm) => sized.filter((one) => one.arm === arm)) }
  })
}

/** One that runs. */
class RunningProxy {
  readonly #run: SizingRun
  readonly #rig: Rig
  readonly #arm: string
  readonly #running: RunningArm
  readonly #saturated: Block[] = []

  constructor(run: SizingRun, rig: Rig, arm: string, running: RunningArm) {
    this.#run = run
    this.#rig = rig
    this.#arm = arm
    this.#running = running
  }

  async saturate(): Promise<void> {
    const { rounds, firstWarmupSeconds, warmupSeconds } = this.#run.plan
    for (let round = 0; round < rounds; round++) {
      const block = await this.#measure(round === 0 ? firstWarmupSeconds : warmupSeconds)
      if (block.failed > 0) throw new Error(`${this.#arm}: ${block.faults.join('; ')}`)
      this.#saturated.push(block)
      const { throughput, cpu } = block.values
      this.#say(`saturated at ${Math.round(throughput)} requests/s, ${cpu.toFixed(1)} µs each`)
    }
  }

  /**
   * Looks for a rate that the load generator keeps, from what this proxy should sustain downwards.
   * @param rigLimit of the load generator, as far as it is known
   * @returns what is known of it now: unchanged, unless a rate was too much
   */
  async tryRates(rigLimit: number): Promise<number> {
    let rate = Math.min(this.#wanted, rigLimit)
    for (let known = rigLimit; rate > 0; rate = roundedDown(rate * step)) {
      const block = await this.#measure(this.#run.plan.openWarmupSeconds, rate)
      const kept = keptUp(block, rate)
      this.#say(`${rate} requests/s ${kept ? 'kept' : 'not kept'}: ${describe(block)}`)
      if (kept) return known
      known = roundedDown(rate * step)
      rigLimit = known
    }
    throw new Error(`${this.#arm}: no rate could be kept; is the machine busy with something else?`)
  }

  async size(rigLimit: number): Promise<Sized> {
    const values = (name: string): Figures => figuresOf(this.#saturated.map((block) => block.values[name]))
    const limit = rigLimit < this.#wanted ? 'rig' : 'proxy'
    // At the very edge of what the load generator can, its own queue would be what is measured.
    const sustained = limit === 'proxy' ? this.#wanted : roundedDown(rigLimit * step)
    const at: AtConnections[] = []
    for (const connections of this.#run.plan.connections) at.push(await this.#at(connections, sustained))
    const saturation = values('throughput')
    return { arm: this.#arm, saturation, cpuMicros: values('cpu'), sustained, limit, at }
  }

  get #wanted(): number {
    return roundedDown(aim * figuresOf(this.#saturated.map(({ values }) => values.throughput)).median)
  }

  get #working(): number {
    return this.#run.plan.connections[0]
  }

  #at(connections: number, rate: number): Promise<AtConnections> {
    const { rounds, openWarmupSeconds } = this.#run.plan
    return this.#rig.holding(this.#running, connections - this.#working, async ({ kernelBytes, open }) => {
      const blocks: Block[] = []
      for (let round = 0; round < rounds; round++) {
        const block = await this.#measure(openWarmupSeconds, rate)
        this.#say(`${connections} connections: ${block.values.rss.toFixed(1)} MiB, ${describe(block)}`)
        blocks.push(block)
      }
      const over = (value: (block: Block) => number): Figures => figuresOf(blocks.map(value))
      return {
        ...{ connections, held: open(), kernelMiB: kernelBytes / 2 ** 20 },
        rssMiB: over(({ values }) => values.rss),
        cpuMicros: over(({ values }) => values.cpu),
        p50: over(({ values }) => values.p50),
        p99: over(({ values }) => values.p99),
        serviceP99: over(({ service }) => service?.p99 ?? 0),
        lagP99: over(({ lag }) => lag?.p99 ?? 0),
        overloaded: blocks.filter((block) => !keptUp(block, rate)).length,
      }
    })
  }

  /** Closed loop where there is no rate. */
  #measure(warmupSeconds: number, ratePerSecond?: number): Promise<Block> {
    const { seconds } = this.#run.plan
    const load = { arm: this.#arm, connections: this.#working, seconds, warmupSeconds, ratePerSecond }
    return this.#rig.measure(this.#running, load)
  }

  #say(text: string): void {
    this.#run.say(`${this.#arm.padEnd(9)} ${text}`)
  }
}

/** Whether a rate was offered and answered as it came. That the driver lags now and then is told beside the figures. */
export function keptUp(
  { failed, requests, seconds, latency }: Pick<Block, 'failed' | 'requests' | 'seconds' | 'latency'>,
  rate: number,
): boolean {
  const reached = requests >= 0.97 * rate * seconds
  return failed === 0 && reached && latency !== undefined && latency.p50 < queueingMs
}

/** To 500. */
const roundedDown = (rate: number): number => Math.floor(rate / 500) * 500

function describe({ values, lag }: Block): string {
  const [p50, p99, late] = [values.p50, values.p99, lag?.p99 ?? 0].map((ms) => ms.toFixed(2))
  return `p50 ${p50} ms, p99 ${p99} ms, p99 of the driver's lag ${late} ms`
}

/** Memory that a machine of 4 GiB keeps for its system, in MiB. */
export const systemMiB = 512
export const machineMiB = 4096

export interface MemoryNeed {
  /** KiB of a client connection that waits: of the process, and of the kernel for the proxy's end. */
  readonly processKiB: number
  readonly kernelKiB: number
  /** How many fit into what the system and the process at the fewest connections leave. */
  readonly connections: number
}

/** undefined when memory was not measured at two numbers of connections, or did not grow. */
export function memoryNeed({ at }: Pick<Sized, 'at'>): MemoryNeed | undefined {
  const [few, many] = [at[0], at.at(-1)]
  if (few === undefined || many === undefined || many.connections === few.connections) return undefined
  const more = many.connections - few.connections
  const processKiB = ((many.rssMiB.median - few.rssMiB.median) * 1024) / more
  const kernelKiB = (Math.max(0, many.kernelMiB) * 1024) / more / 2
  if (processKiB <= 0) return undefined
  const left = (machineMiB - systemMiB - few.rssMiB.median) * 1024
  return { processKiB, kernelKiB, connections: Math.floor(left / (processKiB + kernelKiB)) }
}

/** Requests a second of one core that does nothing else, by what one costs at saturation. */
export const perCore = ({ cpuMicros }: Pick<Sized, 'cpuMicros'>): number => 1e6 / cpuMicros.median
