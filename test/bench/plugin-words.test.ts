/** The sentence of `bench plugin`, beside the verdict of its table. */
import { describe, expect, test } from 'vitest'
import { compareArms } from '../../bench/harness/compare-arms.ts'
import { addedCpu } from '../../bench/plugin/words.ts'
import type { BenchResults, Block, Scenario } from '../../bench/report/bench-results.ts'
import { verdictInWords } from '../../bench/report/words.ts'
import { seededRandom } from '../../bench/stats/random.ts'

describe('the CPU that a plugin adds', () => {
  const of = (kind: string, expect?: number) =>
    ({ kind, name: 'mine', requests: { headers: {}, expect } }) as never
  const target = of('filter')
  /** As `compareArms` has them; `spread` of the twelve differences around their median, in µs. */
  const resultsOf = (difference: number, spread: number, count = 12) => {
    const rounds = Array.from({ length: count }, (_, round) => round)
    const blocks = (arm: string, added: number) =>
      rounds.map((round) => ({
        ...{ arm, scenario: 'small', round, failed: 0, faults: [] },
        values: { cpu: 20 + added + (added === 0 ? 0 : spread * (round / (count - 1) - 0.5)) },
      }))
    const all = [...blocks('core', 0), ...blocks('core+mine', difference)] as unknown as Block[]
    const comparisons = compareArms([{ name: 'small' } as Scenario], all, {
      ...{ arms: ['core', 'core+mine'], confidence: 0.99, random: seededRandom(1), baseline: 'core' },
      change: (metric) => (metric === 'cpu' ? 0 : undefined),
    })
    return { confidence: 0.99, comparisons, blocks: [] } as unknown as BenchResults
  }
  const said = (results: BenchResults, plugin = target) => addedCpu(plugin, 'core+mine', results)

  test('is real where the interval excludes nothing, within the threshold too, with its bounds', () => {
    // 5 % of 20 µs are 1 µs.
    const small = resultsOf(0.7, 0.8)
    expect(said(small).judgement).toBe('fine')
    expect(said(small).sentence).toMatch(
      /^mine adds 0\.700 µs \(\S+–\S+\) of CPU per request: real \(20\.0 µs without\)$/,
    )
    expect(said(resultsOf(-1.3, 0.8), of('algorithm')).sentence).toMatch(
      /^mine saves 1\.30 µs \(\S+–\S+\) of CPU per request: real \(20\.0 µs without, with round-robin\)$/,
    )
  })

  test('is none where the interval holds nothing and lies within the threshold', () => {
    const { judgement, sentence } = said(resultsOf(0.1, 0.8))
    expect(judgement).toBe('fine')
    expect(sentence).toMatch(
      /^no difference in CPU per request: −0\.\d+ … \+0\.\d+ µs, all of it within ±5 % \(20\.0 µs without\)$/,
    )
  })

  test('is unclear where the interval holds nothing and more, or too few blocks count', () => {
    const coarse = said(resultsOf(0.1, 12))
    expect(coarse.judgement).toBe('too noisy')
    expect(coarse.sentence).toMatch(
      /^unclear whether mine costs anything: −\d\.\d+ … \+\d\.\d+ µs of CPU per request; \S+ µs \(\S+ %\) or more would most/,
    )
    expect(said(resultsOf(1.3, 0.8, 7))).toEqual({
      judgement: 'too noisy',
      sentence: 'too noisy to say what it costs: 7 blocks of each arm count, 8 are needed',
    })
  })

  test.each([
    [0.7, 0.8],
    [-0.7, 0.8],
    [1.5, 0.8],
    [0.1, 0.8],
    [0.1, 12],
    [0.6, 3],
    [1.3, 0.8, 7],
  ])('is said by the verdict that stands in the table: %f ± %f', (difference, spread, count = 12) => {
    const results = resultsOf(difference, spread, count)
    const [{ outcome }] = results.comparisons
    const words = {
      worse: /adds .*: real/,
      better: /saves .*: real/,
      same: /^no difference/,
      unclear: /unclear|too noisy/,
    }
    expect(said(results).sentence).toMatch(words[outcome])
    expect(said(results).judgement).toBe(outcome === 'unclear' ? 'too noisy' : 'fine')
    const verdict = verdictInWords(results.comparisons[0], 0.99)
    expect(verdict).toMatch(new RegExp(`^${outcome}: `))
    if (outcome === 'worse') expect(verdict).toMatch(/the whole interval lies on one side of zero$/)
  })

  test('names the answer that it gives itself, where that was measured', () => {
    expect(said(resultsOf(-8, 0.8), of('filter', 401)).sentence).toMatch(
      /^mine saves .*\(20\.0 µs without\); it answers 401 itself, and no backend is asked$/,
    )
  })

  test('is not said where requests fail', () => {
    const block = { arm: 'core+mine', failed: 5, faults: ['5 of 9 requests failed'] }
    const results = { ...resultsOf(1, 2), blocks: [block, block] } as unknown as BenchResults
    expect(said(results)).toEqual({
      judgement: 'unusable',
      sentence:
        'not measured: requests failed with it in 2 blocks, such as: 5 of 9 requests failed; ' +
        'answers other than 2xx and 3xx count as failed (see --header and --expect)',
    })
  })
})
