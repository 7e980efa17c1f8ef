/** Puts the results of a run where people and CI find them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ArmComparison, BenchResults } from './bench-results.ts'
import { metrics } from './bench-results.ts'
import type { Table } from './rows.ts'
import { asText } from './tables.ts'

/** @returns what the terminal shows */
export function writeResults(results: BenchResults, directory: string): string {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'results.json'), `${JSON.stringify(results, null, 1)}\n`)
  const thrownOut = results.blocks.filter((block) => block.faults.length > 0)
  return [
    ...results.scenarios.map(({ name, title }) => asText(comparisonTable(results, name, title))),
    ...thrownOut.map(
      ({ scenario, arm, round, faults }) =>
        `thrown out: ${scenario} ${arm} round ${round}: ${faults.join('; ')}`,
    ),
    ...results.notes.map((note) => `! ${note}`),
    `\nseed ${results.seed}; written to ${directory}`,
  ].join('\n')
}

function comparisonTable(results: BenchResults, scenario: string, title: string): Table {
  const rows = results.comparisons
    .filter((one) => one.scenario === scenario)
    .map((one) => [one.arm, one.baseline, ...cells(one)])
  const head = ['arm', 'beside', 'metric', 'baseline', 'difference', 'interval', 'detectable', 'outcome']
  return { title, head, rows }
}

function cells(one: ArmComparison): string[] {
  const metric = metrics.find(({ name }) => name === one.metric)!
  const percent = (share: number): string => `${share > 0 ? '+' : ''}${(share * 100).toFixed(1)} %`
  return [
    metric.title,
    `${one.base.toPrecision(4)} ${metric.unit}`,
    percent(one.relative.median),
    `${percent(one.relative.low)} … ${percent(one.relative.high)}`,
    `±${(one.detectable * 100).toFixed(1)} %`,
    one.outcome,
  ]
}
