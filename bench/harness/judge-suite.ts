/** The gate of a suite, from its blocks. */
import type { Block } from '../report/bench-results.ts'
import { type GateRound, type GateVerdict, judgeGate } from '../stats/gate.ts'
import type { GatePlan } from '../suites.ts'
import { valuesByRound } from './compare-arms.ts'

/** @returns undefined when no round counts for the backend alone and both arms */
export function judgeSuite(
  plan: GatePlan,
  blocks: readonly Block[],
  options: { readonly confidence: number; readonly random: () => number },
): GateVerdict | undefined {
  const p99 = (arm: string): Map<number, number> => valuesByRound(blocks, plan.scenario, arm, 'p99')
  const [alone, arm, against] = ['direct', plan.arm, plan.against].map(p99)
  const rounds: GateRound[] = []
  for (const [round, value] of alone) {
    const [mine, other] = [arm.get(round), against.get(round)]
    if (mine !== undefined && other !== undefined) rounds.push({ alone: value, arm: mine, against: other })
  }
  return rounds.length === 0 ? undefined : judgeGate(plan, rounds, options)
}
