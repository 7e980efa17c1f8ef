import { describe, expect, test } from 'vitest'
import { judgeSuite } from '../../bench/harness/judge-suite.ts'
import type { Block } from '../../bench/report/bench-results.ts'
import { gateLines, kneesTable } from '../../bench/report/gate-words.ts'
import { markdownSummary } from '../../bench/report/summary.ts'
import { reportFiles } from '../../bench/report/write-results.ts'
import { type GateRound, gateLimit, judgeGate } from '../../bench/stats/gate.ts'
import { seededRandom } from '../../bench/stats/random.ts'
import { exampleResults } from './fixtures/bench-results.ts'

const names = { scenario: 'p99', arm: 'millrace', against: 'haproxy' }
const options = () => ({ confidence: 0.99, random: seededRandom(1) })

/** The backend takes about 6 ms, and drifts; `added` and `byOther` come on top, with some noise. */
function rounds(count: number, added: number, byOther: number, noise = 0.02): GateRound[] {
  const random = seededRandom(count + 7)
  return Array.from({ length: count }, (_, index) => {
    const alone = 6 + index / 10
    const about = (value: number) => alone + value + noise * (random() - 0.5)
    return { alone, arm: about(added), against: about(byOther) }
  })
}

describe('the limit of the p99 gate', () => {
  test.each([
    [0.2, 0.7],
    [1, 1.5],
    [2, 3],
    [0, 0.5],
    [-0.1, 0.4],
  ])('beside %d ms of the other is %d ms', (byOther, limit) => {
    expect(gateLimit(byOther)).toBeCloseTo(limit)
  })
})

describe('the p99 gate', () => {
  test.each([
    ['met', 0.6, 0.2],
    ['met', 2.8, 2],
    ['missed', 0.8, 0.2],
    ['missed', 3.2, 2],
  ])('is %s when %d ms are added where the other adds %d ms', (outcome, added, byOther) => {
    const verdict = judgeGate(names, rounds(12, added, byOther), options())
    expect(verdict.outcome).toBe(outcome)
    expect(verdict.added.median).toBeCloseTo(added, 1)
    expect(verdict.addedByOther.median).toBeCloseTo(byOther, 1)
    expect(verdict.limitMs).toBeCloseTo(gateLimit(byOther), 1)
    expect(verdict.beyond.median).toBeCloseTo(added - gateLimit(byOther), 1)
  })

  test('is unclear when the interval holds the limit, or with fewer than 8 rounds', () => {
    const noisy = judgeGate(names, rounds(12, 0.7, 0.2, 1), options())
    expect(noisy.beyond.low).toBeLessThan(0)
    expect(noisy.beyond.high).toBeGreaterThan(0)
    expect(noisy.outcome).toBe('unclear')
    expect(judgeGate(names, rounds(7, 5, 0.2), options()).outcome).toBe('unclear')
    expect(judgeGate(names, rounds(8, 5, 0.2), options()).outcome).toBe('missed')
  })

  test('has a target of 1.2 times, within what is allowed', () => {
    expect(judgeGate(names, rounds(12, 1.15, 1), options())).toMatchObject({
      outcome: 'met',
      targetMet: true,
    })
    expect(judgeGate(names, rounds(12, 1.3, 1), options())).toMatchObject({
      outcome: 'met',
      targetMet: false,
    })
  })

  test('one round in which everything was slow changes nothing', () => {
    const some = rounds(12, 0.6, 0.2)
    some[4] = { alone: 60, arm: 95, against: 61 }
    expect(judgeGate(names, some, options()).outcome).toBe('met')
  })
})

describe('the gate of a suite', () => {
  const template = exampleResults().blocks[0]
  const block = (arm: string, round: number, p99: number, faults: string[] = []): Block => ({
    ...{ ...template, scenario: 'p99', arm, round, faults },
    values: { p99 },
  })
  const blocks = rounds(10, 0.6, 0.2).flatMap((one, index) => [
    block('direct', index + 1, one.alone),
    block('millrace', index + 1, one.arm, index === 3 ? ['the driver lagged'] : []),
    block('haproxy', index + 1, one.against),
    block('nginx', index + 1, 99),
  ])

  test('takes the rounds that count for all three arms', () => {
    const verdict = judgeSuite(names, blocks, options())!
    expect(verdict.beyond.count).toBe(9)
    expect(verdict.outcome).toBe('met')
    expect(verdict.added.median).toBeCloseTo(0.6, 1)
  })

  test('has no verdict without such a round', () => {
    expect(judgeSuite({ ...names, against: 'envoy' }, blocks, options())).toBeUndefined()
  })

  test('stands in every report, with rate and knees', () => {
    const gate = judgeSuite(names, blocks, options())!
    const rate = {
      ...{ share: 0.5, arm: 'haproxy', kneePerSecond: 6_000, wantedPerSecond: 3_000 },
      ...{ ofRig: true, lowered: 'late' },
    }
    const scenario = { ...exampleResults().scenarios[1], name: 'p99', ratePerSecond: 3_000, rate }
    const knee = {
      ...{ arm: 'haproxy', backendDelayMs: 5, saturationPerSecond: 7_000, kneeConnections: 36 },
      ...{ kneePerSecond: 6_000, steps: [{ connections: 64, requestsPerSecond: 6_543 }] },
    }
    const results = { ...exampleResults(), scenarios: [scenario], blocks, gate, knees: [knee] }
    const [verdict, rule] = gateLines(results)
    expect(verdict).toMatch(/^Gate met: Millrace adds 0\.\d+ ms .* at 3,000 requests\/s, HAProxy 0\.\d+ ms/)
    expect(rule).toMatch(/^At most 0\.7\d* ms may be added .*; below that by .* is missed\. 9 rounds count/)
    expect(kneesTable(results).rows[0].cells).toEqual([
      'HAProxy',
      '5 ms',
      '–',
      '–',
      '6,543',
      '–',
      '7,000',
      '6,000',
      '36',
    ])
    for (const text of [markdownSummary(results), reportFiles(results)['report.html']]) {
      expect(text).toContain('Gate met: Millrace adds')
      expect(text).toContain('6,543')
      expect(text).toContain(
        '50 % of the knee of haproxy, 6,000/s, which is that of load generator and backend, lowered',
      )
    }
    expect(JSON.parse(reportFiles(results)['results.json'])).toMatchObject({
      gate,
      scenarios: [scenario],
      knees: [knee],
    })
  })
})
