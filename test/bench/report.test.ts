import { describe, expect, test } from 'vitest'
import { judgeSeries } from '../../bench/load/soak.ts'
import { readOptions } from '../../bench/options.ts'
import { barChart } from '../../bench/report/bar-chart.ts'
import { evaluate, verdict } from '../../bench/report/checks.ts'
import type { Results, Sample } from '../../bench/report/results.ts'
import { soakFaults } from '../../bench/report/soak-report.ts'
import { allTables, asMarkdown, asText } from '../../bench/report/tables.ts'

const measured = (median: number) => ({ median, min: median, max: median, count: 1 })

function sample(arm: string, round: number, cpuMicros: number, errors = 0): Sample {
  const latency = { p50: 1, p90: 2, p99: 3, max: 4 }
  const load = { requests: 100, requestsPerSecond: 1000, userShare: 0.3, busy: 0.9, foreign: 0 }
  return { part: '64b', arm, round, cpuMicros, latency, errors, lostThreads: 0, ...load }
}

function results(samples: Sample[]): Results {
  const machine = {
    cpu: 'test',
    cores: 2,
    memoryBytes: 1,
    kernel: '6',
    node: 'v24',
    nginx: '1',
    haproxy: '2',
    commit: 'abc',
    loadAtStart: 0,
  }
  const run = { startedAt: '2026-01-01T00:00:00Z', machine, seed: 1, rounds: 2, seconds: 1 }
  return { ...run, samples, idle: [], soak: undefined, notes: [] }
}

describe('verdict', () => {
  test.each([
    [1.05, 1.3, 1.1, 'target met'],
    [1.2, 1.3, 1.1, 'gate met'],
    [1.31, 1.3, 1.1, 'GATE FAILED'],
    [0.5, 0.6, undefined, 'gate met'],
    [1.2, undefined, 1, 'target missed'],
    [1, undefined, 1, 'target met'],
  ])('%d with gate %s and target %s: %s', (value, gate, target, expected) => {
    expect(verdict(measured(value), gate, target)).toBe(expected)
  })

  test('nothing measured is no success', () => {
    expect(verdict(undefined, 1, 1)).toBe('no data')
  })
})

describe('checks', () => {
  test('a sample with errors counts for nothing', () => {
    const checks = evaluate(
      results([
        sample('nginx', 1, 10),
        sample('millrace', 1, 12),
        sample('nginx', 2, 10),
        sample('millrace', 2, 1, 3),
      ]),
    )
    expect(checks[0]).toMatchObject({ measured: { median: 1.2, count: 1 }, verdict: 'gate met' })
    expect(checks[1]).toMatchObject({
      what: 'CPU per request, Millrace / nginx, same header lines',
      verdict: 'no data',
    })
  })

  test('a soak is faulted for growth, failures and what is left behind', () => {
    const samples = (rise: number) =>
      Array.from({ length: 60 }, (_, at) => ({ seconds: at, value: 5000 + rise * at + 100 * (at % 4) }))
    const [level, rising] = [samples(0), samples(50_000)]
    const soak = {
      minutes: 1,
      series: [
        judgeSeries('resident bytes', level)!,
        judgeSeries('heap bytes alive, main thread', level)!,
        judgeSeries('heap bytes alive, thread 1', rising)!,
      ],
      counts: { get: 5 },
      failures: ['get at 1 s: status 502'],
      reloads: 0,
      descriptorsBefore: 10,
      descriptorsAfter: 60,
      gaugesAfter: { millrace_pool_open: 20, millrace_client_connections: 2 },
    }
    expect(soakFaults(soak)).toEqual([
      expect.stringMatching(
        /^heap bytes alive, thread 1 grows by [23],\d{3},\d{3} a minute \(99 % interval /,
      ),
      'millrace_client_connections is 2 after the load',
      '1 exchanges failed',
      '30 descriptors left over',
    ])
    expect(soakFaults({ ...soak, series: [] })).toEqual(
      expect.arrayContaining([
        'resident bytes: too few samples for a slope',
        'heap bytes alive, main thread: too few samples for a slope',
        'heap bytes alive, thread: too few samples for a slope',
      ]),
    )
  })
})

describe('memory in a soak', () => {
  const mebibyte = 1024 * 1024
  const heap = 'heap bytes alive, thread 1'
  /** Ten minutes after ten of warm-up, in steps of a tenth of a MiB. */
  const read = (mebibytes: (minutes: number) => number) =>
    Array.from({ length: 300 }, (_, at) => {
      const exact = mebibytes(at / 15) + (at % 5)
      return { seconds: at * 4, value: (Math.round(exact * 10) / 10) * mebibyte }
    })

  test.each([
    ['a leak of 100 KiB a minute drifts', (minutes: number) => 15 + minutes / 10, false],
    ['what stays is level', () => 15, true],
    ['what rose before the warm-up was over is level', (minutes: number) => 15 + Math.min(10, minutes), true],
    ['what falls is level', (minutes: number) => 15 - minutes / 10, true],
    [
      'one step of what V8 needs itself is none of the heap',
      (minutes: number) => 15 + Number(minutes > 15) * 0.1,
      true,
    ],
  ])('%s', (_, mebibytes, level) => {
    expect(judgeSeries(heap, read(mebibytes))?.level).toBe(level)
  })

  test('the same leak of resident memory drifts', () => {
    expect(
      judgeSeries(
        'resident bytes',
        read((minutes) => 250 + minutes / 10),
      )?.level,
    ).toBe(false)
  })
})

describe('report', () => {
  test('tables have the same rows as text and as Markdown', () => {
    const [throughput, checks] = allTables(results([sample('nginx', 1, 10), sample('millrace', 1, 11)]))
    expect(asText(throughput)).toContain('Millrace')
    expect(asMarkdown(throughput)).toContain('| nginx | 1,000 | 10 | 30 % | 1 |')
    expect(asMarkdown(checks)).toContain(
      '| 64b | CPU per request, Millrace / nginx | 1.10 | 1.30× | 1.10× | target met |',
    )
  })

  test('the picture escapes what it is given', () => {
    const bars = [{ label: 'a < b', value: measured(3), ours: true }]
    const svg = barChart('CPU & more', 'note', [{ title: 'one', bars }])
    expect(svg).toContain('CPU &amp; more')
    expect(svg).toContain('a &lt; b')
  })
})

describe('options', () => {
  test('later ones win, parts keep their order', () => {
    const options = readOptions(['--rounds', '3', '--only', '1m,64b', '--rounds', '5'])
    expect(options.rounds).toBe(5)
    expect(options.only).toEqual(['64b', '1m'])
  })

  test('a wrong part or number is named', () => {
    expect(() => readOptions(['--only', '64b,2m'])).toThrow(/"2m".*64b/)
    expect(() => readOptions(['--rounds', 'many'])).toThrow(/--rounds.*"many"/)
  })
})
