/** The order of blocks, and what the blocks of two arms say about their difference. */
import { bootstrapMedian, type Estimate, fewestBlocks, minimumDetectable } from './bootstrap.ts'
import { shuffled } from './random.ts'
import { median } from './summary.ts'

export interface Turn {
  /** Counts from 1. Every arm has one block in each round. */
  readonly round: number
  readonly arm: string
}

/**
 * A random order for every second round, and the same backwards for the one behind it (A B, B A): a machine that becomes
 * steadily slower or faster then favours no arm.
 */
export function blockOrder(arms: readonly string[], rounds: number, random: () => number): Turn[] {
  const turns: Turn[] = []
  let order: readonly string[] = []
  for (let round = 1; round <= rounds; round++) {
    order = round % 2 === 1 ? shuffled(arms, random) : order.toReversed()
    turns.push(...order.map((arm) => ({ round, arm })))
  }
  return turns
}

/**
 * worse, better: the whole interval lies beyond what counts as a change, which is the threshold unless a smaller one was asked for.
 * same: it lies within the threshold. unclear: neither, or too few blocks.
 */
export type Outcome = 'worse' | 'better' | 'same' | 'unclear'

export interface Comparison {
  /** Median of the baseline's blocks. */
  readonly base: number
  /** Of arm minus baseline, in the metric's unit, over rounds in which both were measured. */
  readonly difference: Estimate
  /** The same, as shares of `base`. */
  readonly relative: Estimate
  /** Share of `base` that would most likely be seen. */
  readonly detectable: number
  readonly threshold: number
  /** Share that was asked for in place of the threshold, to be worse or better. */
  readonly change?: number
  readonly outcome: Outcome
}

export interface CompareOptions {
  readonly confidence: number
  /** Share of the baseline that counts as a change. */
  readonly threshold: number
  /** A smaller one, 0 for anything at all: a difference that is certain is then told although it lies within the threshold. */
  readonly change?: number
  readonly lowerIsBetter: boolean
  readonly random: () => number
}

/**
 * @param arm round → value; likewise `baseline`
 * @returns undefined when no round has both
 */
export function compareBlocks(
  arm: ReadonlyMap<number, number>,
  baseline: ReadonlyMap<number, number>,
  options: CompareOptions,
): Comparison | undefined {
  const rounds = [...arm.keys()].filter((round) => baseline.has(round))
  if (rounds.length === 0) return undefined
  const base = median(rounds.map((round) => baseline.get(round)!))
  const differences = rounds.map((round) => arm.get(round)! - baseline.get(round)!)
  const difference = bootstrapMedian(differences, options)
  const relative = scaled(difference, 1 / base)
  return {
    base,
    difference,
    relative,
    detectable: minimumDetectable(relative.standardError, options.confidence),
    threshold: options.threshold,
    ...(options.change === undefined ? {} : { change: options.change }),
    outcome: outcomeOf(relative, options),
  }
}

function scaled(estimate: Estimate, factor: number): Estimate {
  return {
    median: estimate.median * factor,
    low: estimate.low * factor,
    high: estimate.high * factor,
    standardError: estimate.standardError * factor,
    count: estimate.count,
  }
}

function outcomeOf(relative: Estimate, options: CompareOptions): Outcome {
  const { threshold, change = threshold, lowerIsBetter, confidence } = options
  if (relative.count < fewestBlocks(confidence)) return 'unclear'
  if (relative.low > change) return lowerIsBetter ? 'worse' : 'better'
  if (relative.high < -change) return lowerIsBetter ? 'better' : 'worse'
  if (relative.low >= -threshold && relative.high <= threshold) return 'same'
  return 'unclear'
}
