/** Figures and verdicts as a reader sees them; the same words in HTML, Markdown and JUnit. */

import type { Outcome } from '../stats/blocks.ts'
import { fewestBlocks } from '../stats/bootstrap.ts'
import { type ArmComparison, type BenchResults, type MetricInfo, metrics } from './bench-results.ts'

/** Three significant figures, thousands grouped: 0.0456, 12.3, 1,235. What is no number (JSON has null for it) is a dash. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size)))))
}

/** @param share 0.123 → `12.3 %` */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return '–'
  const value = share * 100
  if (Math.abs(value) >= 100) return `${Math.round(value).toLocaleString('en')} %`
  return `${Number(value.toFixed(1))} %`
}

/** @param share 0.123 → `+12.3 %`, −0.123 → `−12.3 %` */
export function signedPercent(share: number): string {
  if (!Number.isFinite(share)) return '–'
  const size = Math.abs(share) >= 1 ? percent(Math.abs(share)) : `${Math.abs(share * 100).toFixed(1)} %`
  if (Number.parseFloat(size) === 0) return size
  return share < 0 ? `−${size}` : `+${size}`
}

/** `−1.2 % … +3.4 %` */
export function interval({ low, high }: { readonly low: number; readonly high: number }): string {
  return `${signedPercent(low)} … ${signedPercent(high)}`
}

/** `1 block`, `3 blocks` */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

export function metricOf(name: string): MetricInfo {
  const unknown = { name, title: name, unit: '', lowerIsBetter: true, threshold: 0 }
  return metrics.find((metric) => metric.name === name) ?? unknown
}

export function armTitleIn(results: BenchResults, name: string): string {
  return results.arms.find((arm) => arm.name === name)?.title ?? name
}

export function scenarioTitleIn(results: BenchResults, name: string): string {
  return results.scenarios.find((scenario) => scenario.name === name)?.title ?? name
}

/** `Millrace against nginx` */
export function pairIn(results: BenchResults, { arm, baseline }: ArmComparison): string {
  return `${armTitleIn(results, arm)} against ${armTitleIn(results, baseline)}`
}

/** What a comparison says and why, without the names of what was compared. */
export function verdictInWords(comparison: ArmComparison, confidence: number): string {
  const { relative, threshold, change = threshold, outcome, detectable } = comparison
  const size = percent(Math.abs(relative.median))
  const direction = relative.median < 0 ? 'lower' : 'higher'
  const limit = percent(threshold)
  if (outcome === 'same') return `same: the whole interval lies within ±${limit}`
  if (outcome !== 'unclear') {
    const beyond = change === 0 ? 'on one side of zero' : `beyond the threshold of ${percent(change)}`
    return `${outcome}: ${size} ${direction}, the whole interval lies ${beyond}`
  }
  const needed = fewestBlocks(confidence)
  if (relative.count < needed) {
    return `unclear: ${counted(relative.count, 'block')}, at least ${needed} are needed for ${percent(confidence)} confidence`
  }
  const crossed = change === 0 ? `holds zero and crosses the threshold` : 'crosses the threshold'
  return `unclear: the interval ${crossed} of ${limit}; differences from ${percent(detectable)} up would most likely be seen`
}

export type Tally = Readonly<Record<Outcome, number>>

export function tallyOf(comparisons: readonly ArmComparison[]): Tally {
  const count = (outcome: Outcome) => comparisons.filter((one) => one.outcome === outcome).length
  return { worse: count('worse'), better: count('better'), same: count('same'), unclear: count('unclear') }
}

/** The whole run in one sentence, the bad news first. */
export function headline({ comparisons }: BenchResults): string {
  if (comparisons.length === 0) return 'Nothing could be compared.'
  const { worse, better, same, unclear } = tallyOf(comparisons)
  const all = counted(comparisons.length, 'comparison')
  const start = worse > 0 ? `Worse in ${worse} of ${all}` : `Worse in none of ${all}`
  return `${start}; better in ${better}, the same in ${same}, unclear in ${unclear}.`
}
