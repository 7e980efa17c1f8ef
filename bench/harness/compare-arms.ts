/** Every arm beside its baseline: what a proxy adds to the backend, and what it costs beside another proxy. */
import type { ArmComparison, Block, Scenario } from '../report/bench-results.ts'
import { metrics } from '../report/bench-results.ts'
import { compareBlocks } from '../stats/blocks.ts'

/** Latency is compared with the backend alone, cost with the first of these proxies that was measured. */
const addedTo = 'direct'
const costBaselines = ['nginx', 'haproxy', 'passthrough', 'millrace', 'core']

export interface CompareArmsOptions {
  readonly arms: readonly string[]
  readonly confidence: number
  readonly random: () => number
  /** For every metric; by metric when it is left out. */
  readonly baseline: string | undefined
  /** undefined, or left out: the metric's own. */
  threshold?(scenario: string, metric: string): number | undefined
  /** undefined, or left out: the threshold. */
  change?(metric: string): number | undefined
}

export function compareArms(
  scenarios: readonly Scenario[],
  blocks: readonly Block[],
  options: CompareArmsOptions,
): ArmComparison[] {
  const { arms, confidence, random } = options
  const comparisons: ArmComparison[] = []
  for (const { name: scenario } of scenarios) {
    for (const metric of metrics) {
      const usual = options.baseline ?? baselineOf(metric.name, arms)
      for (const arm of arms) {
        const baseline = withPlugin(arm, options) ? 'core' : usual
        if (baseline === undefined || arm === baseline || (arm === addedTo && baseline !== addedTo)) continue
        const threshold = options.threshold?.(scenario, metric.name) ?? metric.threshold
        const compared = compareBlocks(
          valuesByRound(blocks, scenario, arm, metric.name),
          valuesByRound(blocks, scenario, baseline, metric.name),
          {
            ...{ confidence, random, threshold, lowerIsBetter: metric.lowerIsBetter },
            change: options.change?.(metric.name),
          },
        )
        if (compared) comparisons.push({ ...compared, scenario, metric: metric.name, arm, baseline })
      }
    }
  }
  return comparisons
}

/** `core+plugin` stands beside `core`: the difference is the plugin. */
function withPlugin(arm: string, { arms, baseline }: CompareArmsOptions): boolean {
  return baseline === undefined && arm.startsWith('core+') && arms.includes('core')
}

function baselineOf(metric: string, arms: readonly string[]): string | undefined {
  if (metric === 'p50' || metric === 'p99') return arms.includes(addedTo) ? addedTo : undefined
  return costBaselines.find((name) => arms.includes(name))
}

/** Round → value, of the blocks that count. */
export function valuesByRound(
  blocks: readonly Block[],
  scenario: string,
  arm: string,
  metric: string,
): Map<number, number> {
  const values = new Map<number, number>()
  for (const block of blocks) {
    if (block.scenario !== scenario || block.arm !== arm || block.faults.length > 0) continue
    const value = block.values[metric]
    if (value !== undefined) values.set(block.round, value)
  }
  return values
}
