/** The results of `millrace bench` for other programs: github-action-benchmark, and whatever reads JUnit. */
import type { ArmComparison, BenchResults, Scenario } from './bench-results.ts'
import { armsIn, metricSpread, metricsOf } from './derive.ts'
import { armTitleIn, counted, figure, metricOf, pairIn, verdictInWords } from './words.ts'

/** An entry of github-action-benchmark's custom formats. */
export interface ActionEntry {
  /** Of names, not titles: its history is kept under it. */
  readonly name: string
  readonly unit: string
  /** Median of the blocks that count. */
  readonly value: number
  /** `smallest–largest` block. */
  readonly range: string
  readonly extra: string
}

export interface ActionFiles {
  readonly customBiggerIsBetter: readonly ActionEntry[]
  readonly customSmallerIsBetter: readonly ActionEntry[]
}

/** One entry for each metric of each arm in each scenario; each list is to be written as a JSON file. */
export function benchmarkActionFiles(results: BenchResults): ActionFiles {
  const bigger: ActionEntry[] = []
  const smaller: ActionEntry[] = []
  for (const scenario of results.scenarios) {
    for (const metric of metricsOf(results, scenario.name)) {
      const list = metric.lowerIsBetter ? smaller : bigger
      for (const arm of armsIn(results, scenario.name)) {
        const value = metricSpread(results, scenario.name, arm, metric.name)
        if (value === undefined) continue
        list.push({
          name: `${scenario.name}/${arm}/${metric.name}`,
          unit: metric.unit,
          value: value.median,
          range: `${figure(value.min)}–${figure(value.max)}`,
          extra: `${scenario.title}\n${armTitleIn(results, arm)}\n${metric.title}\n${counted(value.count, 'block')}`,
        })
      }
    }
  }
  return { customBiggerIsBetter: bigger, customSmallerIsBetter: smaller }
}

/** A suite a scenario, a case a comparison: worse is a failure, unclear is skipped, with the reason. */
export function junitXml(results: BenchResults): string {
  const count = (outcome: string, of: readonly ArmComparison[]) =>
    of.filter((c) => c.outcome === outcome).length
  const all = results.comparisons.filter(({ scenario }) => results.scenarios.some((s) => s.name === scenario))
  const totals = {
    tests: all.length,
    failures: count('worse', all),
    errors: 0,
    skipped: count('unclear', all),
  }
  const suites = results.scenarios.map((scenario) => {
    const mine = all.filter((comparison) => comparison.scenario === scenario.name)
    const blocks = results.blocks.filter((block) => block.scenario === scenario.name)
    const counts = {
      tests: mine.length,
      failures: count('worse', mine),
      errors: 0,
      skipped: count('unclear', mine),
    }
    const seconds = blocks.reduce((sum, block) => sum + block.seconds, 0)
    const about = { name: scenario.title, ...counts, time: seconds.toFixed(3), timestamp: results.startedAt }
    return element('testsuite', about, [
      element('properties', {}, [
        element('property', { name: 'commit', value: results.machine.commit }),
        element('property', { name: 'seed', value: results.seed }),
      ]),
      ...mine.map((comparison) => testCase(results, scenario, comparison)),
    ])
  })
  const root = element('testsuites', { name: `millrace bench ${results.suite}`, ...totals }, suites)
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root}\n`
}

function testCase(results: BenchResults, scenario: Scenario, comparison: ArmComparison): string {
  const { outcome } = comparison
  const message = verdictInWords(comparison, results.confidence)
  const name = `${metricOf(comparison.metric).title}, ${pairIn(results, comparison)}`
  const children: string[] = []
  if (outcome === 'worse') children.push(element('failure', { type: 'worse', message }))
  else if (outcome === 'unclear') children.push(element('skipped', { message }))
  else children.push(element('system-out', {}, [escapeXml(message)]))
  const mine = results.blocks.filter((b) => b.scenario === scenario.name && b.arm === comparison.arm)
  const time = mine.reduce((sum, block) => sum + block.seconds, 0).toFixed(3)
  return element('testcase', { classname: `${results.suite}.${scenario.name}`, name, time }, children)
}

/** @param children XML already */
function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  children: readonly string[] = [],
): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(String(value))}"`)
  if (children.length === 0) return `<${name}${list.join('')}/>`
  return `<${name}${list.join('')}>\n${children.join('\n')}\n</${name}>`
}

/** What XML 1.0 §2.2 has no place for becomes U+FFFD. */
function escapeXml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text
    .toWellFormed()
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replaceAll(/[&<>"']/g, (character) => entities[character])
    .replaceAll(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
}
