import type { Machine } from '../stats/machine.ts'
import type { Trend } from '../stats/slope.ts'

/** One measurement of one arm in one round. */
export interface Sample {
  readonly part: string
  readonly arm: string
  readonly round: number
  readonly requests: number
  readonly requestsPerSecond: number
  /** CPU of the whole process tree per completed request, microseconds. */
  readonly cpuMicros: number
  readonly userShare: number
  /** Share of the arm's cores that the arm itself used while it was measured. */
  readonly busy: number
  /** Share of the arm's cores that others used meanwhile: the figure's noise. */
  readonly foreign: number
  readonly latency: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }
  readonly errors: number
  /** Threads that ended while it was measured; their CPU time is partly missing. */
  readonly lostThreads: number
}

export interface IdleSample {
  readonly arm: string
  readonly round: number
  readonly connections: number
  /** Of them, still open at the end. */
  readonly held: number
  readonly residentBefore: number
  readonly residentAfter: number
  readonly bytesPerConnection: number
}

export interface SoakSeries {
  readonly name: string
  readonly trend: Trend
  /** How much more at the end than after the warm-up still counts as level; of memory nothing does that is beyond its interval. */
  readonly allowance: number | undefined
  readonly level: boolean
  readonly points: readonly { readonly seconds: number; readonly value: number }[]
}

export interface SoakResult {
  readonly minutes: number
  readonly series: readonly SoakSeries[]
  /** Finished well, by kind of client; and answers that were wrong. */
  readonly counts: Readonly<Record<string, number>>
  readonly failures: readonly string[]
  /** Changes of the config under load. */
  readonly reloads: number
  readonly descriptorsBefore: number
  /** Five seconds after the load was over and its connections had closed. */
  readonly descriptorsAfter: number
  /** The followed gauges at that time. */
  readonly gaugesAfter: Readonly<Record<string, number>>
}

/** All of one run; written as JSON. */
export interface Results {
  readonly startedAt: string
  readonly machine: Machine
  readonly seed: number
  readonly rounds: number
  readonly seconds: number
  readonly samples: Sample[]
  readonly idle: IdleSample[]
  soak: SoakResult | undefined
  /** What the reader must know to trust or distrust the figures. */
  readonly notes: string[]
}
