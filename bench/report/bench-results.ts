/** What `millrace bench` writes as results.json. Whatever is derived can be made again from the blocks, which stand here raw. */
import type { Comparison } from '../stats/blocks.ts'
import type { Machine } from '../stats/machine.ts'
import type { Quantiles } from '../stats/quantiles.ts'

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
  /** Metric name → value; see `metrics`. Those that could not be taken are left out. */
  readonly values: Readonly<Record<string, number>>
  /** Open loop: milliseconds from the intended start, from the start, and how late the driver was. */
  readonly latency: Quantiles | undefined
  readonly service: Quantiles | undefined
  readonly lag: Quantiles | undefined
  /** Latency curve: [1 / (1 − quantile), ms]. */
  readonly curve: readonly (readonly [number, number])[]
  /** Why it was thrown out; empty: it counts. */
  readonly faults: readonly string[]
}

export interface MetricInfo {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly lowerIsBetter: boolean
  /** Share of the baseline that counts as a change, unless calibrated. */
  readonly threshold: number
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
  { name: 'rss', title: 'Resident memory', unit: 'MiB', lowerIsBetter: true, threshold: 0.1 },
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
  /** What the reader must know to trust or distrust the figures. */
  readonly notes: readonly string[]
}
