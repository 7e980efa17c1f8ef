/** What a calibration found, for the terminal. */
import type { AaRun, CalibratedThreshold, FalseDifferences } from '../stats/calibration.ts'
import type { Calibration } from './calibration-file.ts'
import type { Table } from './rows.ts'
import { asText } from './tables.ts'
import { counted, figure, metricOf, percent, signedPercent } from './words.ts'

export function calibrationText(calibration: Calibration): string {
  const { runs, wanted, confidence, falseDifferences: found } = calibration
  const partial =
    runs.length < wanted ? [`! interrupted: ${runs.length} of ${wanted} runs; continue with --resume`] : []
  return [
    asText(thresholdTable(calibration)),
    '',
    ...differenceLines(found, confidence),
    ...onceLine(calibration),
    ...thrownOutLine(runs),
    ...partial,
  ].join('\n')
}

function thresholdTable({ thresholds, falseDifferences }: Calibration): Table {
  const rows = thresholds.map((one) => {
    const count = falseDifferences.byComparison.find(
      ({ scenario, metric }) => scenario === one.scenario && metric === one.metric,
    )
    return [
      metricOf(one.metric).title,
      one.scenario,
      percent(one.typical),
      percent(one.reach),
      count === undefined ? '' : `${count.excluding} of ${count.runs}`,
      percent(one.starting),
      raised(one),
    ]
  })
  const head = [
    'Metric',
    'Scenario',
    'Typical',
    '95 % within ±',
    'Intervals without 0',
    'Starting',
    'Threshold',
  ]
  return { title: 'Differences of the same code from itself', head, rows }
}

const raised = ({ threshold, starting }: CalibratedThreshold): string =>
  `${percent(threshold)}${threshold > starting ? ' ↑' : ''}`

/** The three ways of counting, each named: they differ much, and the first alone would sound like a broken instrument. */
function differenceLines(found: FalseDifferences, confidence: number): string[] {
  const { runs, comparisons, excluding, runsExcluding, runsByChance, runsJointly, runsBeyondThreshold } =
    found
  const of = `of ${counted(runs, 'A/A run')}`
  const level = percent(confidence)
  return [
    `${excluding} of ${comparisons} comparisons have a ${level} interval without 0 (by chance: ${figure(comparisons * (1 - confidence))}); ` +
      `they are in ${runsExcluding} ${of} (by chance: ${figure(runsByChance)})`,
    `${runsJointly} ${of} show a difference beyond their ${level} interval, taken for all metrics and scenarios of a run together`,
    `${runsBeyondThreshold} ${of} would be called worse or better by \`compare\` with these thresholds, before its second measurement`,
  ]
}

function onceLine({ thresholds }: Calibration): string[] {
  const once = new Set(
    thresholds.map(({ metric }) => metricOf(metric)).filter(({ perProcess }) => perProcess),
  )
  return [...once].map(
    ({ title }) =>
      `left out of the first two counts: ${title}, which is one value a process; its intervals are too narrow, its threshold holds`,
  )
}

function thrownOutLine(runs: readonly AaRun[]): string[] {
  const out = runs.reduce((sum, run) => sum + run.thrownOut, 0)
  const all = runs.reduce((sum, run) => sum + run.blocks, 0)
  return out === 0 ? [] : [`${out} of ${counted(all, 'block')} did not count`]
}

/** One line of progress: the CPU, and which intervals show a difference. */
export function runText(run: AaRun): string {
  const cpu = run.intervals
    .filter(({ metric }) => metric === 'cpu')
    .map(
      ({ median, low, high }) => `${signedPercent(median)} (${signedPercent(low)} … ${signedPercent(high)})`,
    )
  const without = run.intervals.filter(({ low, high }) => low > 0 || high < 0)
  const shown = without.map(({ metric, scenario }) => `${metric} in ${scenario}`).join(', ')
  return `CPU ${cpu.join(', ')}; interval without 0: ${shown === '' ? 'none' : shown}`
}
