/**
 * What a machine's own noise is: A/A runs, in which both arms are the same code, show differences that are none. From their
 * intervals come the thresholds of comparisons on this machine.
 */
import type { MetricInfo } from '../report/bench-results.ts'
import { median } from './summary.ts'

/** Of one metric in one scenario of an A/A run; shares of the baseline, NaN where the baseline is nothing. */
export interface AaInterval {
  readonly scenario: string
  readonly metric: string
  readonly median: number
  /** Of the confidence of the calibration, for this one comparison. */
  readonly low: number
  readonly high: number
  /** Of that confidence for all comparisons of the run together (Bonferroni: 1 % is divided by their number). */
  readonly jointLow: number
  readonly jointHigh: number
  /** Rounds that count for both arms. */
  readonly count: number
}

export interface AaRun {
  readonly seed: number
  /** ISO 8601. */
  readonly startedAt: string
  readonly commit: string
  readonly blocks: number
  readonly thrownOut: number
  readonly intervals: readonly AaInterval[]
}

export interface CalibratedThreshold {
  readonly scenario: string
  readonly metric: string
  readonly starting: number
  /** At least `starting`. */
  readonly threshold: number
  /** Median of the sizes of the A/A differences. */
  readonly typical: number
  /** No interval of 95 % of the runs goes farther from 0. */
  readonly reach: number
}

/** Share of A/A runs that are to come out as `same`: all of fewer than 20 runs, 19 of 20. */
const wanted = 0.95

/**
 * The smallest threshold within which the whole interval lies in 95 % of the runs, never below the starting one: then a
 * comparison of a revision with itself is `same` that often, and not unclear.
 */
export function thresholdsOf(
  runs: readonly AaRun[],
  metrics: readonly MetricInfo[],
): readonly CalibratedThreshold[] {
  return [...byComparison(runs)].flatMap(([, intervals]) => {
    const { scenario, metric } = intervals[0]
    const starting = metrics.find(({ name }) => name === metric)?.threshold
    if (starting === undefined) return []
    const known = intervals.filter(isKnown)
    const reach = known.length === 0 ? Number.NaN : upperOf(known.map(reachOf), wanted)
    const typical = known.length === 0 ? Number.NaN : median(known.map((one) => Math.abs(one.median)))
    const threshold = Number.isFinite(reach) ? Math.max(starting, roundedUp(reach)) : starting
    return [{ scenario, metric, starting, threshold, typical, reach }]
  })
}

export interface ComparisonCount {
  readonly scenario: string
  readonly metric: string
  readonly runs: number
  /** Runs whose interval excludes 0. */
  readonly excluding: number
}

/** How often something was shown although there was nothing. Metrics that are one value a process are left out, but for thresholds. */
export interface FalseDifferences {
  readonly runs: number
  /** Comparisons of all runs, and those whose own interval excludes 0; of each 1 − confidence by chance. */
  readonly comparisons: number
  readonly excluding: number
  /** Runs with at least one such comparison, and how many there would be by chance if comparisons were independent. */
  readonly runsExcluding: number
  readonly runsByChance: number
  /** Runs with an interval that excludes 0 though it is wide enough for all comparisons of the run together. */
  readonly runsJointly: number
  /** Runs in which `compare`, with the thresholds found, would have called some metric worse or better. */
  readonly runsBeyondThreshold: number
  readonly byComparison: readonly ComparisonCount[]
}

export function falseDifferences(
  runs: readonly AaRun[],
  thresholds: readonly CalibratedThreshold[],
  { confidence, metrics }: { readonly confidence: number; readonly metrics: readonly MetricInfo[] },
): FalseDifferences {
  const once = new Set(metrics.filter(({ perProcess }) => perProcess).map(({ name }) => name))
  const counts = (one: AaInterval): boolean => isKnown(one) && !once.has(one.metric)
  const thresholdOf = (one: AaInterval): number =>
    thresholds.find(({ scenario, metric }) => scenario === one.scenario && metric === one.metric)
      ?.threshold ?? Number.POSITIVE_INFINITY
  const having = (is: (one: AaInterval) => boolean): number =>
    runs.filter((run) => run.intervals.some(is)).length
  const known = runs.flatMap((run) => run.intervals.filter(counts))
  const chance = (run: AaRun): number => 1 - confidence ** run.intervals.filter(counts).length
  return {
    runs: runs.length,
    comparisons: known.length,
    excluding: known.filter(excludesNothing).length,
    runsExcluding: having((one) => counts(one) && excludesNothing(one)),
    runsByChance: runs.reduce((sum, run) => sum + chance(run), 0),
    runsJointly: having((one) => counts(one) && (one.jointLow > 0 || one.jointHigh < 0)),
    runsBeyondThreshold: having((one) => one.low > thresholdOf(one) || one.high < -thresholdOf(one)),
    byComparison: [...byComparison(runs).values()].map((intervals) => ({
      scenario: intervals[0].scenario,
      metric: intervals[0].metric,
      runs: intervals.filter(isKnown).length,
      excluding: intervals.filter((one) => isKnown(one) && excludesNothing(one)).length,
    })),
  }
}

function byComparison(runs: readonly AaRun[]): Map<string, AaInterval[]> {
  return Map.groupBy(
    runs.flatMap((run) => run.intervals),
    ({ scenario, metric }) => `${scenario} ${metric}`,
  )
}

const isKnown = ({ low, high }: AaInterval): boolean => Number.isFinite(low) && Number.isFinite(high)
/** 0, no difference, lies outside. */
const excludesNothing = ({ low, high }: AaInterval): boolean => low > 0 || high < 0
const reachOf = ({ low, high }: AaInterval): number => Math.max(Math.abs(low), Math.abs(high))

/** The smallest value that this share of the values does not exceed. */
function upperOf(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  // 0.95 × 20 is a little more than 19 in binary.
  return sorted[Math.ceil(share * sorted.length - 1e-9) - 1]
}

/** To a tenth of a percent. */
const roundedUp = (share: number): number => Math.ceil(share * 1000 - 1e-9) / 1000
