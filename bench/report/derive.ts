/** What is made of the blocks for the reports: medians, merged latency curves, the blocks that do not count. */
import { median, type Spread, spread } from '../stats/summary.ts'
import type { BenchResults, Block, MetricInfo } from './bench-results.ts'
import { metrics } from './bench-results.ts'

/** A block that does not count, with the number that table and timeline know it by; counts from 1. */
export interface ThrownOut {
  readonly number: number
  readonly block: Block
}

export const counts = (block: Block): boolean => block.faults.length === 0

export function thrownOut(results: BenchResults): ThrownOut[] {
  return results.blocks
    .filter((block) => !counts(block))
    .map((block, index) => ({ number: index + 1, block }))
}

/** Of the blocks that count; undefined when none has the metric. */
export function metricSpread(
  results: BenchResults,
  scenario: string,
  arm: string,
  metric: string,
): Spread | undefined {
  const mine = results.blocks.filter((block) => block.scenario === scenario && block.arm === arm)
  return spread(mine.filter(counts).flatMap((block) => finite(block.values[metric])))
}

const finite = (value: number | undefined): number[] => (Number.isFinite(value) ? [value as number] : [])

/** Metrics that any block of the scenario has, in the order of the schema. */
export function metricsOf(results: BenchResults, scenario: string): MetricInfo[] {
  const mine = results.blocks.filter((block) => block.scenario === scenario)
  return metrics.filter(({ name }) => mine.some((block) => Number.isFinite(block.values[name])))
}

/** Arms with blocks in the scenario, in the order of the results. */
export function armsIn(results: BenchResults, scenario: string): string[] {
  const measured = new Set(results.blocks.filter((b) => b.scenario === scenario).map((b) => b.arm))
  const known = results.arms.map((arm) => arm.name).filter((name) => measured.has(name))
  return [...known, ...[...measured].filter((name) => !known.includes(name))]
}

/**
 * One latency curve of several blocks: the median at each abscissa. What fewer than half of the blocks have is left out, since a
 * few long blocks would otherwise be the tail of all.
 * @returns [1 / (1 − quantile), ms], ascending
 */
export function mergedCurve(blocks: readonly Block[]): [number, number][] {
  const curves = blocks.filter((block) => counts(block) && block.curve.length > 0)
  const byAbscissa = new Map<string, number[]>()
  for (const { curve } of curves) {
    for (const [inverse, ms] of curve) {
      // Computed powers of ten; the last bits may differ between machines.
      const key = inverse.toPrecision(6)
      const values = byAbscissa.get(key)
      if (values === undefined) byAbscissa.set(key, [ms])
      else values.push(ms)
    }
  }
  return [...byAbscissa]
    .filter(([, values]) => values.length * 2 >= curves.length)
    .map(([key, values]): [number, number] => [Number(key), median(values)])
    .sort(([a], [b]) => a - b)
}
