/** What `millrace bench` writes as results.json. Whatever is derived can be made again from the blocks, which stand here raw. */
import type { Comparison } from '../stats/blocks.ts'
import type { GateVerdict } from '../stats/gate.ts'
import type { Machine } from '../stats/machine.ts'
import type { ThreadUse } from '../stats/node-probe.ts'
import type { Quantiles } from '../stats/quantiles.ts'
import type { ArmKnee, ResolvedRate } from '../stats/rates.ts'

/** Raised when a reader of older files would misunderstand. */
export const resultsSchema = 1

export interface ArmInfo {
  readonly name: string
  readonly title: string
  /** Why it was not measured: a program that is not installed. */
  readonly missing: string | undefined
}

/** Bodies, connections and backends of a scenario, where they are not the usual ones. */
export interface Shape {
  /** Of each answer; 64 when left out. */
  readonly bodyBytes?: number
  /** false: clients open a connection for each request. */
  readonly keepAlive?: boolean
  /** Clients come with TLS. */
  readonly tls?: boolean
  /** Addresses that the requests are spread over; 1 when left out. */
  readonly backends?: number
  /** The backend's delay is log-normal: standard deviation of its logarithm, the median being `backendDelayMs`. */
  readonly delaySigma?: number
}

/** What all arms were measured at. */
export interface Scenario {
  readonly name: string
  readonly title: string
  readonly load: 'closed' | 'open'
  /** Closed: connections that each wait for their answer. Open: the most that may be used. */
  readonly connections: number
  /** Open only: requests that start each second, in every arm. */
  readonly ratePerSecond: number | undefined
  /** Absent in older files, whose titles say it. */
  readonly shape?: Shape
  /** Where that rate came from; absent: the suite fixed it. */
  readonly rate?: ResolvedRate
}

/** One measurement of one arm. */
export interface Block {
  readonly scenario: string
  readonly arm: string
  readonly round: number
  /** Seconds after the start of the run. */
  readonly startedAt: number
  readonly seconds: number
  readonly requests: number
  readonly failed: number
  /** Metric name → value; see `metrics` and `costMetrics`. Those that could not be taken are left out. */
  readonly values: Readonly<Record<string, number>>
  /** What `costMetrics` were made of; absent in older files. */
  readonly costs?: BlockCosts
  /** Open loop: milliseconds from the intended start, from the start, and how late the driver was. */
  readonly latency: Quantiles | undefined
  readonly service: Quantiles | undefined
  readonly lag: Quantiles | undefined
  /** Latency curve: [1 / (1 − quantile), ms]. */
  readonly curve: readonly (readonly [number, number])[]
  /** Why it was thrown out; empty: it counts. */
  readonly faults: readonly string[]
}

/** Readings of one block beside its load, of the whole process tree of the arm. */
export interface BlockCosts {
  /** Another one: the arm was started anew. */
  readonly pid: number
  /** That the costs were divided by. */
  readonly requests: number
  /** That the block kept the arm at work, with the warm-up. */
  readonly loadSeconds: number
  /** Resident memory through the block: [seconds, MiB]. */
  readonly rss: readonly (readonly [number, number])[]
  /** Of a Node program; else empty. */
  readonly threads: readonly ThreadUse[]
  /** Group of `costMetrics` → why they are missing. */
  readonly missing: Readonly<Record<string, string>>
}

export interface MetricInfo {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly lowerIsBetter: boolean
  /** Share of the baseline that counts as a change, unless calibrated. */
  readonly threshold: number
  /**
   * All blocks of a process have nearly the same value, so they are no independent ones: two processes of the same code differ,
   * and the interval of their blocks is too narrow to hold that. Only the threshold says whether a difference is one.
   */
  readonly perProcess?: boolean
}

/** Every metric of a block. Thresholds are starting points: `millrace bench calibrate` finds those of a machine. */
export const metrics: readonly MetricInfo[] = [
  { name: 'cpu', title: 'CPU per request', unit: 'µs', lowerIsBetter: true, threshold: 0.05 },
  { name: 'throughput', title: 'Throughput', unit: 'req/s', lowerIsBetter: false, threshold: 0.07 },
  { name: 'p50', title: 'Latency, median', unit: 'ms', lowerIsBetter: true, threshold: 0.1 },
  { name: 'p99', title: 'Latency, 99th percentile', unit: 'ms', lowerIsBetter: true, threshold: 0.25 },
  {
    name: 'runDelay',
    title: 'Wait for a core per request',
    unit: 'µs',
    lowerIsBetter: true,
    threshold: 0.25,
  },
  {
    name: 'rss',
    title: 'Resident memory',
    unit: 'MiB',
    lowerIsBetter: true,
    threshold: 0.1,
    perProcess: true,
  },
]

export interface CostMetric {
  readonly name: string
  readonly title: string
  readonly unit: string
  /** Taken by the same means, and so missing together: a key of `BlockCosts.missing`. */
  readonly group: 'cpu' | 'node' | 'memory' | 'connections'
}

/** What else a block says of its arm: shown, not compared. Several threads: sums, where nothing else is said. */
export const costMetrics: readonly CostMetric[] = [
  { name: 'cpuUser', title: 'User CPU per request', unit: 'µs', group: 'cpu' },
  { name: 'cpuSystem', title: 'System CPU per request', unit: 'µs', group: 'cpu' },
  { name: 'gcCount', title: 'Collections', unit: '', group: 'node' },
  { name: 'gcMs', title: 'Collections, all pauses', unit: 'ms', group: 'node' },
  // 0…1, of the time, in the thread that collects most.
  { name: 'gcShare', title: 'Time in collections', unit: '', group: 'node' },
  { name: 'gcLongest', title: 'Longest pause', unit: 'ms', group: 'node' },
  { name: 'gcPer1000', title: 'Collections per 1,000 requests', unit: '', group: 'node' },
  { name: 'allocated', title: 'Allocated per request', unit: 'bytes', group: 'node' },
  { name: 'heap', title: 'Live heap', unit: 'MiB', group: 'node' },
  // 0…1, of the time, in the busiest thread.
  { name: 'loopBusy', title: 'Event loop busy', unit: '', group: 'node' },
  // Of a line through the samples of one block.
  { name: 'rssSlope', title: 'RSS within a block', unit: 'MiB/min', group: 'memory' },
  { name: 'opened', title: 'Backend connections per 1,000 requests', unit: '', group: 'connections' },
]

/** How one arm stands to the baseline in one metric of one scenario. */
export interface ArmComparison extends Comparison {
  readonly scenario: string
  readonly metric: string
  readonly arm: string
  readonly baseline: string
}

export interface BenchResults {
  readonly schema: typeof resultsSchema
  readonly suite: string
  /** ISO 8601. */
  readonly startedAt: string
  readonly machine: Machine
  readonly seed: number
  /** 0…1, of every interval. */
  readonly confidence: number
  readonly arms: readonly ArmInfo[]
  readonly scenarios: readonly Scenario[]
  /** Of the closed loops, with its version; absent in older files: wrk. */
  readonly loadGenerator?: string
  readonly blocks: readonly Block[]
  readonly comparisons: readonly ArmComparison[]
  /** Of the arms that rates were taken from. */
  readonly knees?: readonly ArmKnee[]
  /** Of a suite with a gate; absent there too when no round counts for all of its arms. */
  readonly gate?: GateVerdict
  /** What the reader must know to trust or distrust the figures. */
  readonly notes: readonly string[]
}
