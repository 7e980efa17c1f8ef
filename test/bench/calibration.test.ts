import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repository } from '../../bench/arms/millrace.ts'
import { aaRun, calibrate, calibrationOf } from '../../bench/harness/calibrate.ts'
import { compareArms } from '../../bench/harness/compare-arms.ts'
import type { RunOptions } from '../../bench/harness/run-suite.ts'
import { type BenchResults, metrics } from '../../bench/report/bench-results.ts'
import { findCalibration, readCalibration } from '../../bench/report/calibration-file.ts'
import { calibrationText } from '../../bench/report/calibration-words.ts'
import { type AaInterval, type AaRun, falseDifferences, thresholdsOf } from '../../bench/stats/calibration.ts'
import { describeMachine } from '../../bench/stats/machine.ts'
import { seededRandom } from '../../bench/stats/random.ts'
import { suiteToCalibrate } from '../../bench/suites.ts'
import { folderWith, runCli } from '../cli/run-cli.ts'
import { exampleResults } from './fixtures/bench-results.ts'

const interval = (metric: string, low: number, high: number, joint = 0.2): AaInterval => ({
  ...{ scenario: 's', metric, median: (low + high) / 2, low, high },
  ...{ jointLow: low - joint, jointHigh: high + joint, count: 12 },
})
const runOf = (...intervals: AaInterval[]): AaRun => ({
  ...{ seed: 1, startedAt: '2026-03-11T09:14:07.000Z', commit: 'abc', blocks: 24, thrownOut: 0 },
  intervals,
})
const twenty = (intervalsOf: (index: number) => AaInterval[]): AaRun[] =>
  Array.from({ length: 20 }, (_, index) => runOf(...intervalsOf(index)))

describe('thresholds of a machine', () => {
  test('are the starting ones where the noise is smaller', () => {
    const [cpu] = thresholdsOf(
      twenty(() => [interval('cpu', -0.01, 0.02)]),
      metrics,
    )
    expect(cpu).toMatchObject({ scenario: 's', metric: 'cpu', starting: 0.05, threshold: 0.05, reach: 0.02 })
  })

  test('hold the intervals of 19 of 20 runs, on either side, rounded up to a tenth of a percent', () => {
    const runs = twenty((index) => [
      interval('cpu', index === 3 ? -0.08123 : -0.01, index === 7 ? 0.5 : 0.02),
    ])
    expect(thresholdsOf(runs, metrics)[0]).toMatchObject({ threshold: 0.082, reach: 0.08123 })
  })

  test('hold all of fewer runs', () => {
    const runs = twenty((index) => [interval('cpu', -0.01, index === 7 ? 0.5 : 0.02)]).slice(0, 19)
    expect(thresholdsOf(runs, metrics)[0].threshold).toBe(0.5)
  })

  test('are found for each scenario and metric by itself; a share of nothing says nothing', () => {
    const other = { ...interval('cpu', -0.3, 0.1), scenario: 't' }
    const unknown = interval('runDelay', Number.NaN, Number.NaN)
    const found = thresholdsOf([runOf(interval('cpu', 0, 0.1), other, unknown)], metrics)
    expect(found.map(({ scenario, metric, threshold }) => [scenario, metric, threshold])).toEqual([
      ['s', 'cpu', 0.1],
      ['t', 'cpu', 0.3],
      ['s', 'runDelay', 0.25],
    ])
  })
})

describe('differences where there are none', () => {
  // 3 runs exclude 0 by one of two intervals, one of them by that for the whole run, too.
  const runs = twenty((index) => [
    interval('cpu', index < 3 ? 0.01 : -0.01, 0.02, index === 0 ? 0.001 : 0.2),
    interval('p50', -0.02, 0.02),
  ])
  const found = falseDifferences(runs, thresholdsOf(runs, metrics), { confidence: 0.99, metrics })

  test('are counted by comparison, by run, and for a run as a whole', () => {
    expect(found).toMatchObject({ runs: 20, comparisons: 40, excluding: 3, runsExcluding: 3, runsJointly: 1 })
    expect(found.byComparison).toEqual([
      { scenario: 's', metric: 'cpu', runs: 20, excluding: 3 },
      { scenario: 's', metric: 'p50', runs: 20, excluding: 0 },
    ])
  })

  test('stand beside what chance would give', () => {
    expect(found.runsByChance).toBeCloseTo(20 * (1 - 0.99 ** 2))
  })

  test('count against the thresholds only where the whole interval lies beyond', () => {
    expect(found.runsBeyondThreshold).toBe(0)
    const far = twenty((index) => [interval('cpu', index === 5 ? 0.3 : -0.01, 0.4)])
    const thresholds = thresholdsOf(far, metrics).map((one) => ({ ...one, threshold: 0.05 }))
    expect(falseDifferences(far, thresholds, { confidence: 0.99, metrics }).runsBeyondThreshold).toBe(1)
  })

  test('of what is one value a process count against its threshold only', () => {
    const memory = twenty(() => [interval('rss', 0.2, 0.3, 0.01), interval('cpu', -0.01, 0.01)])
    const thresholds = thresholdsOf(memory, metrics)
    const count = (by: typeof thresholds) => falseDifferences(memory, by, { confidence: 0.99, metrics })
    expect(count(thresholds)).toMatchObject({
      comparisons: 20,
      excluding: 0,
      runsExcluding: 0,
      runsJointly: 0,
    })
    expect(count(thresholds.map((one) => ({ ...one, threshold: 0.1 }))).runsBeyondThreshold).toBe(20)
  })

  test('are told in all three ways', () => {
    const parts = {
      suite: 'x',
      machine: exampleResults().machine,
      seed: 1,
      confidence: 0.99,
      wanted: 20,
    }
    const text = calibrationText(calibrationOf(runs, parts))
    expect(text).toContain('3 of 40 comparisons have a 99 % interval without 0 (by chance: 0.400)')
    expect(text).toContain('1 of 20 A/A runs show a difference beyond their 99 % interval, taken for all')
    expect(text).toContain('0 of 20 A/A runs would be called worse or better')
    expect(calibrationText(calibrationOf(runs, { ...parts, wanted: 30 }))).toContain('20 of 30 runs')
  })
})

/** Both arms of an A/A run from a seed: the blocks of two arms of the example. */
function aaResults(seed: number, example = exampleResults()): BenchResults {
  const names = new Map([
    ['nginx', 'base'],
    ['millrace', 'head'],
  ])
  const blocks = example.blocks.flatMap((block) => {
    const arm = names.get(block.arm)
    return arm === undefined ? [] : [{ ...block, arm }]
  })
  const comparisons = example.comparisons
    .filter(({ arm, baseline }) => arm === 'millrace' && baseline === 'nginx')
    .map((one) => ({ ...one, arm: 'head', baseline: 'base' }))
  return { ...example, seed, blocks, comparisons }
}

test('the intervals for a whole run are wider than those of single comparisons', () => {
  const { intervals } = aaRun(aaResults(1, exampleResults(24)))
  expect(intervals.length).toBeGreaterThan(5)
  for (const { low, high, jointLow, jointHigh } of intervals)
    expect(jointHigh - jointLow).toBeGreaterThanOrEqual((high - low) * 0.99)
  expect(intervals.some((one) => one.jointHigh - one.jointLow > (one.high - one.low) * 1.05)).toBe(true)
})

describe('calibrate', () => {
  const options = (file: string, more: object = {}) => ({
    ...{ suite: suiteToCalibrate(), runs: 3, file, resume: false, seed: 70, confidence: 0.99 },
    signal: new AbortController().signal,
    say() {},
    measure: (run: RunOptions) => Promise.resolve(aaResults(run.seed)),
    ...more,
  })

  test('measures one code as both arms, with a seed for each run, and keeps every interval', async () => {
    const file = join(folderWith({}), 'calibration.json')
    const seen: RunOptions[] = []
    const measure = (run: RunOptions) => {
      seen.push(run)
      return Promise.resolve(aaResults(run.seed))
    }
    const found = await calibrate(options(file, { measure }))
    expect(seen.map(({ seed }) => seed)).toEqual([70, 71, 72])
    expect(seen[0].suite.arms).toEqual(['base', 'head'])
    expect(seen[0].suite.scenarios.map(({ name }) => name)).toEqual(
      suiteToCalibrate().scenarios.map(({ name }) => name),
    )
    expect(readCalibration(file)).toEqual(JSON.parse(JSON.stringify(found)))
  })

  test('keeps what was measured when it is interrupted, says so, and goes on from there', async () => {
    const file = join(folderWith({}), 'calibration.json')
    const stop = new AbortController()
    const measure = (run: RunOptions) => {
      if (run.seed === 70) return Promise.resolve(aaResults(run.seed))
      stop.abort(new Error('interrupted'))
      return Promise.reject(new Error('its processes are gone'))
    }
    const partial = await calibrate(options(file, { signal: stop.signal, measure }))
    expect(partial.runs.map(({ seed }) => seed)).toEqual([70])
    expect(calibrationText(partial)).toContain('interrupted: 1 of 3 runs; continue with --resume')
    const used = findCalibration(undefined, file, describeMachine(repository))
    expect(used?.note).toContain('1 A/A runs of 3; continue with calibrate --resume')
    const whole = await calibrate(options(file, { resume: true, seed: 5 }))
    expect(whole.runs.map(({ seed }) => seed)).toEqual([70, 71, 72])
    expect(whole.seed).toBe(70)
  })

  test('goes on only with the same suite and confidence, on the same machine', async () => {
    const file = join(folderWith({}), 'calibration.json')
    await calibrate(options(file, { runs: 1 }))
    const resumed = (more: object) => calibrate(options(file, { resume: true, ...more }))
    await expect(resumed({ suite: suiteToCalibrate('quick') })).rejects.toThrow(/of suite compare, not quick/)
    await expect(resumed({ confidence: 0.9 })).rejects.toThrow(/of confidence 0\.99, not 0\.9/)
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"cores": \d+/, '"cores": 7777'))
    await expect(resumed({})).rejects.toThrow(/another machine \(cores: 7777 there/)
  })
})

describe('a calibration for compare', () => {
  const here = describeMachine(repository)
  const calibration = (machine: object) => {
    const runs = [runOf(interval('cpu', -0.2, 0.1))]
    const parts = { suite: 'compare', machine: { ...here, ...machine }, seed: 1, confidence: 0.99, wanted: 1 }
    return JSON.stringify(calibrationOf(runs, parts))
  }

  test('is taken from its usual place, or from where it is said to be; absent in the first, there is none', () => {
    const directory = folderWith({ 'usual.json': calibration({ kernel: `${here.kernel}-other-patch` }) })
    const [usual, absent] = [join(directory, 'usual.json'), join(directory, 'absent.json')]
    for (const found of [findCalibration(undefined, usual, here), findCalibration(usual, absent, here)]) {
      expect(found?.threshold('s', 'cpu')).toBe(0.2)
      expect(found?.threshold('s', 'p50')).toBeUndefined()
    }
    expect(findCalibration(undefined, absent, here)).toBeUndefined()
    expect(() => findCalibration(absent, usual, here)).toThrow(/absent\.json does not exist/)
  })

  test('decides what counts as a change', () => {
    const { scenarios, blocks } = aaResults(1)
    const judged = (threshold: (scenario: string, metric: string) => number | undefined) =>
      compareArms(scenarios, blocks, {
        ...{ arms: ['base', 'head'], baseline: 'base', confidence: 0.99, random: seededRandom(1), threshold },
      }).find(({ metric }) => metric === 'rss')
    expect(judged(() => undefined)).toMatchObject({ threshold: 0.1, outcome: 'worse' })
    expect(judged((_, metric) => (metric === 'rss' ? 99 : 0.01))).toMatchObject({
      threshold: 99,
      outcome: 'same',
    })
  })

  test('of another machine is refused, with what differs and what to do', async () => {
    const directory = folderWith({
      'bench-results/calibration.json': calibration({ cpu: 'PDP-11', node: 'v22.0.0' }),
    })
    const { status, err } = await runCli(['bench', 'compare', 'main', '.'], { directory })
    expect(status).toBe(3)
    expect(err).toMatch(
      /made on another machine \(processor: PDP-11 there, .* here; Node: v22 there, v24 here\)/,
    )
    expect(err).toContain('--no-calibration')
  })

  test('that is none is refused', () => {
    const directory = folderWith({
      'results.json': JSON.stringify(exampleResults()),
      'bad.json': calibration({}).replace('"threshold":0.2', '"threshold":"0.2"'),
    })
    const find = (name: string) => () => findCalibration(join(directory, name), 'none', here)
    expect(find('results.json')).toThrow(
      /is no file of `millrace bench calibrate`:\n {2}kind: expected "calib/,
    )
    expect(find('bad.json')).toThrow(/thresholds\.0\.threshold: /)
  })
})
