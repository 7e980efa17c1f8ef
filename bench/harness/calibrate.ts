/** `millrace bench calibrate`: the same code as both arms, again and again. What differs then is the machine's noise. */
import { existsSync } from 'node:fs'
import { MillraceError } from '../../core/host/errors.ts'
import { repository } from '../arms/millrace.ts'
import { revisionArm } from '../arms/revision.ts'
import type { ArmComparison, BenchResults } from '../report/bench-results.ts'
import { metrics } from '../report/bench-results.ts'
import {
  type Calibration,
  calibrationSchema,
  readCalibration,
  refuseOtherMachine,
  writeCalibration,
} from '../report/calibration-file.ts'
import { runText } from '../report/calibration-words.ts'
import { Progress } from '../report/progress.ts'
import { metricOf } from '../report/words.ts'
import { type AaRun, falseDifferences, thresholdsOf } from '../stats/calibration.ts'
import { describeMachine } from '../stats/machine.ts'
import { seededRandom } from '../stats/random.ts'
import { calibrationSuite, type Suite } from '../suites.ts'
import { compareArms } from './compare-arms.ts'
import { runSuite } from './run-suite.ts'

export interface Calibrate {
  /** Whose scenarios are measured; the arms are ours. */
  readonly suite: Suite
  readonly runs: number
  readonly file: string
  /** Goes on where `file` ended. */
  readonly resume: boolean
  readonly seed: number
  readonly confidence: number
  readonly signal: AbortSignal
  say(text: string): void
  /** One A/A run; a test puts its own in place. */
  readonly measure?: typeof runSuite
}

const arms = ['base', 'head'] as const

/**
 * The file is written after each run. Ends early, with what was measured, when the signal is aborted.
 * @throws MR_BENCH_FILE where `resume` finds a file that cannot be continued; when not even one run could be measured
 */
export async function calibrate(options: Calibrate): Promise<Calibration> {
  const { file, runs: wanted, signal, say, measure = runSuite } = options
  const suite = calibrationSuite(options.suite, arms)
  const machine = describeMachine(repository)
  const before = options.resume && existsSync(file) ? readCalibration(file) : undefined
  if (before) refuseToContinue(file, before, options)
  if (before) refuseOtherMachine(file, before, machine)
  const { seed, confidence } = before ?? options
  const runs: AaRun[] = [...(before?.runs ?? [])]
  if (before) say(`${file} has ${runs.length} of ${wanted} runs`)
  const parts = { suite: suite.name, machine, seed, confidence, wanted }
  let overall: Progress | undefined
  while (runs.length < wanted && !signal.aborted) {
    const at = runs.length
    const progress = (planned: number) => {
      overall ??= new Progress(planned * (wanted - at))
      return { advance: (seconds: number) => overall?.count(seconds) }
    }
    const same = arms.map((name) =>
      revisionArm({ name, title: name, directory: repository, config: undefined }),
    )
    const run = { suite, arms: same, baseline: arms[0], seed: seed + at, confidence, signal, say, progress }
    try {
      runs.push(aaRun(await measure(run)))
    } catch (error) {
      if (!signal.aborted) throw error
      break
    }
    writeCalibration(file, calibrationOf(runs, parts))
    overall?.tell(`run ${runs.length}/${wanted}: ${runText(runs.at(-1)!)}`)
  }
  if (runs.length === 0) throw new Error('interrupted before the first run was complete: nothing was written')
  return calibrationOf(runs, parts)
}

function refuseToContinue(
  file: string,
  before: Pick<Calibration, 'suite' | 'confidence'>,
  { suite, confidence }: Calibrate,
): void {
  const differences: string[] = []
  if (before.suite !== suite.name) differences.push(`suite ${before.suite}, not ${suite.name}`)
  if (before.confidence !== confidence) differences.push(`confidence ${before.confidence}, not ${confidence}`)
  if (differences.length === 0) return
  const message = `${file} cannot be continued: it is of ${differences.join(' and ')}`
  throw new MillraceError('MR_BENCH_FILE', message, { path: file })
}

type Parts = Pick<Calibration, 'suite' | 'machine' | 'seed' | 'confidence' | 'wanted'>

export function calibrationOf(runs: readonly AaRun[], parts: Parts): Calibration {
  const thresholds = thresholdsOf(runs, metrics)
  return {
    ...{ schema: calibrationSchema, kind: 'calibration' as const, ...parts },
    ...{ runs, thresholds, falseDifferences: falseDifferences(runs, thresholds, { ...parts, metrics }) },
  }
}

/** What is kept of an A/A run: its intervals, and the same ones so wide that they hold for the whole run. */
export function aaRun(results: BenchResults): AaRun {
  const { seed, startedAt, machine, scenarios, blocks, comparisons, confidence } = results
  const together = comparisons.filter(({ metric }) => !metricOf(metric).perProcess).length
  const joint = compareArms(scenarios, blocks, {
    arms,
    baseline: arms[0],
    confidence: 1 - (1 - confidence) / Math.max(1, together),
    random: seededRandom(seed),
  })
  const same = (a: ArmComparison) => (b: ArmComparison) => a.scenario === b.scenario && a.metric === b.metric
  return {
    ...{ seed, startedAt, commit: machine.commit, blocks: blocks.length },
    thrownOut: blocks.filter(({ faults }) => faults.length > 0).length,
    intervals: comparisons.map((one) => {
      const wide = joint.find(same(one))!.relative
      const { median, low, high, count } = one.relative
      const where = { scenario: one.scenario, metric: one.metric }
      return { ...where, median, low, high, jointLow: wide.low, jointHigh: wide.high, count }
    }),
  }
}
