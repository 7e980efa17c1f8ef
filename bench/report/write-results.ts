/** Puts the results of `millrace bench` where people and CI find them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compareSuite } from '../suites.ts'
import type { BenchResults, Scenario } from './bench-results.ts'
import { thrownOut } from './derive.ts'
import { benchmarkActionFiles, junitXml } from './exports.ts'
import { gateLines, kneesTable } from './gate-words.ts'
import { htmlReport } from './html.ts'
import { comparisonsTable } from './result-tables.ts'
import { markdownSummary } from './summary.ts'
import { asText } from './tables.ts'
import { armTitleIn, headline, scenarioTitleIn } from './words.ts'

/** File name → content. All but results.json can be made again from it. */
export function reportFiles(results: BenchResults): Record<string, string> {
  const { customBiggerIsBetter, customSmallerIsBetter } = benchmarkActionFiles(results)
  return {
    'results.json': json(results),
    'summary.md': markdownSummary(results),
    'report.html': htmlReport(results),
    // Only of revisions: that one proxy costs more than another is no failed test.
    ...(results.suite === compareSuite.name ? { 'junit.xml': junitXml(results) } : {}),
    'bigger-is-better.json': json(customBiggerIsBetter),
    'smaller-is-better.json': json(customSmallerIsBetter),
  }
}

/** @returns what the terminal shows */
export function writeResults(results: BenchResults, directory: string): string {
  mkdirSync(directory, { recursive: true })
  for (const [name, content] of Object.entries(reportFiles(results)))
    writeFileSync(join(directory, name), content)
  return [
    ...results.scenarios.map((scenario) => scenarioText(results, scenario)),
    ...kneesText(results),
    `\n${headline(results)}`,
    ...gateLines(results),
    ...thrownOutText(results),
    ...results.notes.map((note) => `! ${note}`),
    `seed ${results.seed}; written to ${directory}: open report.html`,
  ].join('\n')
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`

/** The verdict in a word; the whole sentences stand in the files. */
function scenarioText(results: BenchResults, { name, title }: Scenario): string {
  const { columns, rows } = comparisonsTable(results, name)
  return asText({
    title,
    head: [...columns.slice(0, -1).map((column) => column.title), 'Outcome'],
    rows: rows.map(({ cells, outcome }) => [...cells.slice(0, -1), outcome ?? '']),
  })
}

function kneesText(results: BenchResults): string[] {
  const { title, columns, rows } = kneesTable(results)
  if (rows.length === 0) return []
  return [
    asText({ title, head: columns.map((column) => column.title), rows: rows.map(({ cells }) => [...cells]) }),
  ]
}

/** One line for each arm of a scenario: the reasons of single blocks stand in the report. */
function thrownOutText(results: BenchResults): string[] {
  const counts = new Map<string, { count: number; example: string }>()
  for (const { block } of thrownOut(results)) {
    const key = `${scenarioTitleIn(results, block.scenario)}, ${armTitleIn(results, block.arm)}`
    const count = (counts.get(key)?.count ?? 0) + 1
    counts.set(key, { count, example: block.faults.join('; ') })
  }
  return [...counts].map(([key, { count, example }]) => `thrown out: ${key}: ${count} × such as ${example}`)
}
