/** The tables of a `millrace bench` run as plain text cells: HTML and Markdown show the same. Escaping is theirs. */
import type { Outcome } from '../stats/blocks.ts'
import type { BenchResults, Scenario } from './bench-results.ts'
import { armsIn, counts, metricSpread, metricsOf, thrownOut } from './derive.ts'
import { rateInWords } from './gate-words.ts'
import {
  armTitleIn,
  counted,
  figure,
  interval,
  metricOf,
  pairIn,
  percent,
  scenarioTitleIn,
  signedPercent,
  verdictInWords,
} from './words.ts'

export interface Column {
  readonly title: string
  /** Stands at the right. */
  readonly isFigure: boolean
}

export interface Row {
  readonly cells: readonly string[]
  /** Of a comparison. */
  readonly outcome?: Outcome
}

export interface ResultTable {
  readonly title: string
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
  /** What the reader must know of its cells; stands below. */
  readonly notes?: readonly string[]
}

export const text = (title: string): Column => ({ title, isFigure: false })
export const figures = (title: string): Column => ({ title, isFigure: true })

export function armsTable(results: BenchResults): ResultTable {
  const rows = results.arms.map(({ name, title, missing }) => {
    const blocks = results.blocks.filter((block) => block.arm === name)
    const counting = blocks.filter(counts).length
    const measured = `${counting} of ${counted(blocks.length, 'block')} count`
    return { cells: [title, name, missing ? `missing: ${missing}` : measured] }
  })
  return { title: 'Arms', columns: [text('Arm'), text('Name'), text('Measured')], rows }
}

export function scenariosTable(results: BenchResults): ResultTable {
  const rows = results.scenarios.map((scenario) => {
    const blocks = results.blocks.filter((block) => block.scenario === scenario.name)
    return { cells: [scenario.title, scenario.name, loadInWords(scenario), String(blocks.length)] }
  })
  const columns = [text('Scenario'), text('Name'), text('Load'), figures('Blocks')]
  return { title: 'Scenarios', columns, rows }
}

export function loadInWords({ load, connections, ratePerSecond, rate, shape }: Scenario): string {
  const fresh = shape?.keepAlive === false ? ', a new one for each request' : ''
  const tls = shape?.tls ? ', TLS' : ''
  if (load === 'closed') return `closed loop, ${counted(connections, 'connection')}${fresh}${tls}`
  const perSecond = ratePerSecond === undefined ? '' : `, ${figure(ratePerSecond)} requests/s`
  const origin = rate === undefined ? '' : ` (${rateInWords(rate)})`
  return `open loop${perSecond}${origin}, at most ${counted(connections, 'connection')}`
}

/** A row an arm, a column a metric: median and, of more than one block, smallest and largest. */
export function mediansTable(results: BenchResults, scenario: string): ResultTable {
  const measured = metricsOf(results, scenario)
  const rows = armsIn(results, scenario).map((arm) => {
    const cells = measured.map(({ name }) => {
      const value = metricSpread(results, scenario, arm, name)
      if (value === undefined) return '–'
      const range = value.count > 1 ? ` (${figure(value.min)}–${figure(value.max)})` : ''
      return `${figure(value.median)}${range}`
    })
    return { cells: [armTitleIn(results, arm), ...cells] }
  })
  const columns = [text('Arm'), ...measured.map(({ title, unit }) => figures(`${title}, ${unit}`))]
  return { title: 'Medians (smallest–largest block)', columns, rows }
}

export function comparisonsTable(results: BenchResults, scenario: string): ResultTable {
  const mine = results.comparisons.filter((comparison) => comparison.scenario === scenario)
  const rows = mine.map((comparison) => {
    const { relative, detectable, base, outcome } = comparison
    const metric = metricOf(comparison.metric)
    const cells = [
      metric.title,
      pairIn(results, comparison),
      `${figure(base)} ${metric.unit}`.trim(),
      signedPercent(relative.median),
      interval(relative),
      percent(detectable),
      String(relative.count),
      verdictInWords(comparison, results.confidence),
    ]
    return { cells, outcome }
  })
  const columns = [
    text('Metric'),
    text('Compared'),
    figures('Baseline'),
    figures('Difference'),
    figures(`${percent(results.confidence)} interval`),
    figures('Detectable'),
    figures('Blocks'),
    text('Verdict'),
  ]
  return { title: 'Comparisons', columns, rows }
}

export function thrownOutTable(results: BenchResults): ResultTable {
  const rows = thrownOut(results).map(({ number, block }) => ({
    cells: [
      String(number),
      scenarioTitleIn(results, block.scenario),
      armTitleIn(results, block.arm),
      String(block.round),
      `${block.startedAt.toFixed(0)} s`,
      block.faults.join('; '),
    ],
  }))
  const columns = [
    figures('No.'),
    text('Scenario'),
    text('Arm'),
    figures('Round'),
    figures('Started at'),
    text('Why'),
  ]
  return { title: 'Blocks that do not count', columns, rows }
}

export function machineTable(results: BenchResults): ResultTable {
  const { machine, startedAt, seed, confidence } = results
  const facts = [
    ['Started', startedAt],
    ['Commit', machine.commit],
    ['Seed', String(seed)],
    ['Confidence of the intervals', percent(confidence)],
    ['Processor', `${machine.cpu}, ${counted(machine.cores, 'core')}`],
    ['Memory', `${figure(machine.memoryBytes / 2 ** 30)} GiB`],
    ['Linux', machine.kernel],
    ['Node', machine.node],
    ['nginx', machine.nginx],
    ['HAProxy', machine.haproxy],
    ...(results.loadGenerator === undefined ? [] : [['Load of closed loops', results.loadGenerator]]),
    ['Load average at the start', machine.loadAtStart.toFixed(2)],
  ]
  const rows = facts.map((cells) => ({ cells }))
  return { title: 'Machine and run', columns: [text('What'), text('Value')], rows }
}
