import { describe, expect, test } from 'vitest'
import type { Block } from '../../bench/report/bench-results.ts'
import { mergedCurve } from '../../bench/report/derive.ts'
import { benchmarkActionFiles, junitXml } from '../../bench/report/exports.ts'
import { markdownSummary } from '../../bench/report/summary.ts'
import { figure, percent, signedPercent } from '../../bench/report/words.ts'
import { exampleResults } from './fixtures/bench-results.ts'

const example = exampleResults()

describe('Markdown', () => {
  const lines = markdownSummary(example).split('\n')

  test('begins with the verdict, then names what became worse', () => {
    expect(lines[0]).toBe('# Millrace bench: proxies')
    expect(lines[2]).toMatch(
      /^\*\*Worse in \d+ of \d+ comparisons; better in \d+, the same in \d+, unclear in \d+\.\*\*$/,
    )
    expect(lines[4]).toMatch(/^- 64-byte answers, kept connections, .*: worse: .* % (higher|lower)/)
  })

  test('has a row for every comparison, and every row as many cells as its head', () => {
    const count = (outcome: string) =>
      lines.filter((line) => line.startsWith('|') && line.includes(`| ${outcome}: `)).length
    for (const outcome of ['worse', 'better', 'same', 'unclear'])
      expect(count(outcome), outcome).toBe(example.comparisons.filter((c) => c.outcome === outcome).length)
    let cells = 0
    for (const [index, line] of lines.entries()) {
      if (!line.startsWith('|')) continue
      const here = line.split(/(?<!\\)\|/).length
      if (!lines[index - 1].startsWith('|')) cells = here
      expect(here).toBe(cells)
    }
  })

  test('texts are neither Markdown nor HTML', () => {
    const title = 'a|b <img src=x> *c*\n# d `e` [f](g)'
    const scenarios = [{ ...example.scenarios[0], title }]
    const text = markdownSummary({ ...example, scenarios })
    expect(text).toContain('\n## a\\|b &lt;img src=x&gt; \\*c\\* # d \\`e\\` \\[f\\](g)\n')
  })
})

describe('files of github-action-benchmark', () => {
  const files = benchmarkActionFiles(example)

  test('hold what JSON can hold, every arm and metric once', () => {
    expect(JSON.parse(JSON.stringify(files))).toEqual(files)
    const names = [...files.customBiggerIsBetter, ...files.customSmallerIsBetter].map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('steady/millrace/p99')
  })

  test('throughput is better when bigger, all else when smaller', () => {
    expect(files.customBiggerIsBetter.map(({ name }) => name)).toEqual(
      ['nginx', 'haproxy', 'before', 'millrace', 'passthrough'].map((arm) => `64b/${arm}/throughput`),
    )
    for (const entry of files.customSmallerIsBetter) expect(entry.name).not.toContain('throughput')
  })

  test('an entry has the median of the blocks that count, with smallest and largest', () => {
    const blocks = [1, 2, 3, 40].map((cpu, index): Block => {
      const faults = cpu === 40 ? ['broken'] : []
      return {
        ...example.blocks[0],
        scenario: '64b',
        arm: 'nginx',
        round: index + 1,
        values: { cpu },
        faults,
      }
    })
    const { customSmallerIsBetter } = benchmarkActionFiles({ ...example, blocks })
    expect(customSmallerIsBetter).toEqual([
      {
        name: '64b/nginx/cpu',
        unit: 'µs',
        value: 2,
        range: '1.00–3.00',
        extra: '64-byte answers, kept connections\nnginx\nCPU per request\n3 blocks',
      },
    ])
  })
})

describe('JUnit', () => {
  test('worse is a failure, unclear is skipped, the others pass', () => {
    const comparison = example.comparisons[0]
    const xml = (outcome: 'worse' | 'better' | 'same' | 'unclear') =>
      junitXml({ ...example, comparisons: [{ ...comparison, outcome }] })
    expect(xml('worse')).toContain('<failure type="worse" message="worse: ')
    expect(xml('worse')).toContain('tests="1" failures="1" errors="0" skipped="0"')
    expect(xml('unclear')).toContain('<skipped message="unclear: ')
    expect(xml('unclear')).toContain('tests="1" failures="0" errors="0" skipped="1"')
    for (const outcome of ['better', 'same'] as const) expect(xml(outcome)).not.toMatch(/<(failure|skipped)/)
  })
})

describe('a latency curve of several blocks', () => {
  const block = (faults: string[], ...curve: [number, number][]): Block => ({
    ...example.blocks[0],
    faults,
    curve,
  })

  test('is the median at each abscissa of the blocks that count', () => {
    const blocks = [
      block([], [10, 1], [2, 5]),
      block([], [2, 7], [10 + 1e-9, 3]),
      block([], [2, 6], [10, 2]),
      block(['broken'], [2, 900], [10, 900]),
    ]
    expect(mergedCurve(blocks)).toEqual([
      [2, 6],
      [10, 2],
    ])
  })

  test('ends where fewer than half of the blocks go on', () => {
    const blocks = [block([], [10, 1], [100, 50]), block([], [10, 1]), block([], [10, 1])]
    expect(mergedCurve(blocks)).toEqual([[10, 1]])
    expect(mergedCurve([])).toEqual([])
  })
})

describe('figures', () => {
  test.each([
    [0, '0'],
    [0.04567, '0.0457'],
    [9.876, '9.88'],
    [99.96, '100.0'],
    [42_513.5, '42,514'],
    [-2.71234, '-2.71'],
    [Number.NaN, '–'],
  ])('%d: %s', (value, text) => {
    expect(figure(value)).toBe(text)
  })

  test('shares', () => {
    expect([0.05, 0.1234, 7.102].map(percent)).toEqual(['5 %', '12.3 %', '710 %'])
    expect([0.05, -0.1234, 7.1, 0.0001].map(signedPercent)).toEqual(['+5.0 %', '−12.3 %', '+710 %', '0.0 %'])
  })
})
