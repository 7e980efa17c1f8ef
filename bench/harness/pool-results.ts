/** Two measurements of the same arms as one with more rounds. */
import type { ArmComparison, BenchResults, Block } from '../report/bench-results.ts'
import { seededRandom } from '../stats/random.ts'
import { compareArms } from './compare-arms.ts'

export interface PoolOptions {
  readonly baseline: string
  threshold?(scenario: string, metric: string): number | undefined
}

/**
 * Rounds and starting times of the second go on behind those of the first; scenarios that it did not measure stay as they are.
 * Intervals are drawn anew over all blocks.
 */
export function poolResults(first: BenchResults, second: BenchResults, options: PoolOptions): BenchResults {
  const rounds = Math.max(0, ...first.blocks.map(({ round }) => round))
  const seconds = (Date.parse(second.startedAt) - Date.parse(first.startedAt)) / 1000
  const later = second.blocks.map(
    (block): Block => ({
      ...block,
      ...{ round: block.round + rounds, startedAt: block.startedAt + seconds },
    }),
  )
  const blocks = [...first.blocks, ...later]
  const { confidence, scenarios, seed } = first
  const comparisons: ArmComparison[] = compareArms(scenarios, blocks, {
    ...{ arms: first.arms.map(({ name }) => name), confidence, random: seededRandom(seed) },
    ...{ baseline: options.baseline, threshold: options.threshold },
  })
  const notes = [...new Set([...first.notes, ...second.notes])]
  return { ...first, blocks, comparisons, notes }
}
