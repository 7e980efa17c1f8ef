/** The p99 gate of the core: what the proxy adds to the backend's 99th percentile, beside what another proxy adds. */
import { bootstrapOf, type Estimate, fewestBlocks } from './bootstrap.ts'
import { median } from './summary.ts'

/** 99th percentiles of one round, milliseconds. */
export interface GateRound {
  readonly alone: number
  readonly arm: number
  readonly against: number
}

/** met, missed: the whole interval of what is beyond the limit says so. unclear: it does not, or there are too few rounds. */
export type GateOutcome = 'met' | 'missed' | 'unclear'

export interface GateVerdict {
  readonly scenario: string
  readonly arm: string
  readonly against: string
  readonly outcome: GateOutcome
  /** Added to the backend alone, milliseconds, over rounds. */
  readonly added: Estimate
  readonly addedByOther: Estimate
  /** Most that may be added, for the medians. */
  readonly limitMs: number
  /** What is added minus the limit; the interval of the verdict. */
  readonly beyond: Estimate
  /** The median of what is added is at most `targetFactor` times the other's. */
  readonly targetMet: boolean
}

export const gateFactor = 1.5
export const gateSlackMs = 0.5
export const targetFactor = 1.2

/** The larger of a share and an allowance: beside an other that adds next to nothing, no factor means anything. */
export const gateLimit = (addedByOther: number): number =>
  Math.max(gateFactor * addedByOther, addedByOther + gateSlackMs)

/**
 * Differences within rounds, medians over rounds, and an interval that draws whole rounds again, so that all three arms of one
 * stay together.
 * @throws without rounds
 */
export function judgeGate(
  names: Pick<GateVerdict, 'scenario' | 'arm' | 'against'>,
  rounds: readonly GateRound[],
  options: { readonly confidence: number; readonly random: () => number },
): GateVerdict {
  const added = (some: readonly GateRound[]): number => median(some.map((round) => round.arm - round.alone))
  const byOther = (some: readonly GateRound[]): number =>
    median(some.map((round) => round.against - round.alone))
  const excess = (some: readonly GateRound[]): number => added(some) - gateLimit(byOther(some))
  const beyond = bootstrapOf(rounds, excess, options)
  const addedEstimate = bootstrapOf(rounds, added, options)
  const otherEstimate = bootstrapOf(rounds, byOther, options)
  return {
    ...names,
    outcome: outcomeOf(beyond, options.confidence),
    added: addedEstimate,
    addedByOther: otherEstimate,
    limitMs: gateLimit(otherEstimate.median),
    beyond,
    targetMet: addedEstimate.median <= targetFactor * otherEstimate.median,
  }
}

function outcomeOf(beyond: Estimate, confidence: number): GateOutcome {
  if (beyond.count < fewestBlocks(confidence)) return 'unclear'
  if (beyond.low > 0) return 'missed'
  return beyond.high <= 0 ? 'met' : 'unclear'
}
