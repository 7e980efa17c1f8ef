/** What the charts of the HTML report draw; stands in the page as JSON, so only what JSON can hold. */
import type { Outcome } from '../stats/blocks.ts'
import type { ArmComparison, BenchResults, Block } from './bench-results.ts'
import { armsIn, counts, mergedCurve, metricsOf, thrownOut } from './derive.ts'
import { armTitleIn, metricOf, pairIn, signedPercent } from './words.ts'

export interface ForestRow {
  /** With an arrow to where better is. */
  readonly metric: string
  readonly pair: string
  /** The median difference as text. */
  readonly figure: string
  /** Shares of the baseline. */
  readonly median: number
  readonly low: number
  readonly high: number
  readonly threshold: number
  readonly outcome: Outcome
}

export interface Series {
  /** Index into the page's arms: its colour, dash and mark. */
  readonly arm: number
  /** [abscissa, value], ascending. */
  readonly points: readonly (readonly [number, number])[]
}

/** A block that does not count. */
export interface Crossed {
  readonly arm: number
  /** In the table of such blocks. */
  readonly number: number
  readonly seconds: number
  /** null: the metric could not be taken. */
  readonly value: number | null
}

export interface Timeline {
  readonly title: string
  readonly unit: string
  readonly series: readonly Series[]
  readonly crossed: readonly Crossed[]
}

export interface ScenarioCharts {
  readonly forest: readonly ForestRow[]
  /** [1 / (1 − quantile), ms]; empty for a closed loop. */
  readonly curves: readonly Series[]
  /** One a metric. */
  readonly timelines: readonly Timeline[]
}

export interface PageData {
  /** Titles. */
  readonly arms: readonly string[]
  readonly scenarios: readonly ScenarioCharts[]
}

export function pageData(results: BenchResults): PageData {
  const measured = results.blocks.map((block) => block.arm)
  const arms = [...new Set([...results.arms.map((arm) => arm.name), ...measured])].filter((name) =>
    measured.includes(name),
  )
  return {
    arms: arms.map((name) => armTitleIn(results, name)),
    scenarios: results.scenarios.map(({ name, load }) => ({
      forest: results.comparisons
        .filter((one) => one.scenario === name)
        .flatMap((one) => forestRow(results, one)),
      curves: load === 'open' ? curves(results, name, arms) : [],
      timelines: timelines(results, name, arms),
    })),
  }
}

/** Empty when the difference is no number, as with a baseline of nothing. */
function forestRow(results: BenchResults, comparison: ArmComparison): ForestRow[] {
  const { median, low, high } = comparison.relative
  if (![median, low, high].every(Number.isFinite)) return []
  const { title, lowerIsBetter } = metricOf(comparison.metric)
  const metric = `${title} ${lowerIsBetter ? '↓' : '↑'}`
  const { threshold, outcome } = comparison
  const difference = { figure: signedPercent(median), median, low, high, threshold, outcome }
  return [{ metric, pair: pairIn(results, comparison), ...difference }]
}

function curves(results: BenchResults, scenario: string, arms: readonly string[]): Series[] {
  return armsIn(results, scenario)
    .map((name) => ({
      arm: arms.indexOf(name),
      points: mergedCurve(results.blocks.filter((b) => b.scenario === scenario && b.arm === name)),
    }))
    .filter(({ points }) => points.length > 0)
}

function timelines(results: BenchResults, scenario: string, arms: readonly string[]): Timeline[] {
  const blocks = results.blocks.filter((block) => block.scenario === scenario)
  const out = thrownOut(results).filter(({ block }) => block.scenario === scenario)
  return metricsOf(results, scenario).map(({ name, title, unit }) => ({
    title,
    unit,
    series: armsIn(results, scenario).map((arm) => ({
      arm: arms.indexOf(arm),
      points: pointsOf(
        blocks.filter((block) => block.arm === arm && counts(block)),
        name,
      ),
    })),
    crossed: out.map(({ number, block }) => ({
      arm: arms.indexOf(block.arm),
      number,
      seconds: block.startedAt,
      value: Number.isFinite(block.values[name]) ? block.values[name] : null,
    })),
  }))
}

function pointsOf(blocks: readonly Block[], metric: string): [number, number][] {
  return blocks
    .filter((block) => Number.isFinite(block.values[metric]))
    .map((block): [number, number] => [block.startedAt, block.values[metric]])
    .sort(([a], [b]) => a - b)
}
