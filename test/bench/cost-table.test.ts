/** What a run says of its arms beside time, in Markdown and on the page. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Block, costMetrics } from '../../bench/report/bench-results.ts'
import { htmlReport } from '../../bench/report/html.ts'
import { markdownSummary } from '../../bench/report/summary.ts'
import { Browser } from './browser.ts'
import { exampleResults } from './fixtures/bench-results.ts'

const browser = new Browser()
const example = exampleResults()
beforeAll(() => browser.start())
afterAll(() => browser.close())

describe('Markdown', () => {
  const lines = markdownSummary(example).split('\n')

  test('says what else it costs: slopes over the run with their interval, and why there is none', () => {
    const from = lines.indexOf('### What else it costs')
    const of = (what: string) => lines.slice(from).find((line) => line.startsWith(`| ${what}`))
    expect(of('Of the arm')).toBe(
      '| Of the arm | nginx | HAProxy | Millrace, main branch | Millrace | node:http passthrough |',
    )
    expect(of('CPU per request, user')).toContain('| 6.88 + 10.3 | 7.04 + 10.6 | 8.24 + 12.4 | 7.56 + 11.3 |')
    expect(of('Allocated per request')).toContain('| – | – | 2,048 | 2,048 | 2,048 |')
    // 0.1 MiB a block, which has ten seconds at work in it; one of Millrace's does not count, its time does.
    expect(of('Heap over the run')).toContain('| – | – | 0.600 | 0.600 | 0.600 |')
    expect(of('… its interval')).toContain('| – | – | 0.600 … 0.600 | 0.600 … 0.600 | 0.600 … 0.600 |')
    expect(lines.filter((line) => line.startsWith('–: '))).toEqual(
      Array(2).fill('–: collections, allocation, heap and event loop: no Node program (nginx, HAProxy).'),
    )
  })

  test('of results without such figures there is no such table', () => {
    const names: ReadonlySet<string> = new Set(costMetrics.map(({ name }) => name))
    const older = example.blocks.map(({ costs, ...block }): Block => {
      const values = Object.entries(block.values).filter(([name]) => !names.has(name))
      return { ...block, values: Object.fromEntries(values) }
    })
    expect(markdownSummary({ ...example, blocks: older })).not.toContain('What else it costs')
  })
})

test('the page has it, a dash where there is no figure, and each reason once', async () => {
  const own = { cpuUser: 3, cpuSystem: 7.5, rssSlope: -0.5, opened: 0 }
  const node = { gcCount: 19, gcMs: 16.13, gcPer1000: 0.148, gcShare: 0.008, gcLongest: 1.57 }
  const costs = { pid: 1, requests: 9, loadSeconds: 3, rss: [], threads: [], missing: {} }
  const blocks = ['nginx', 'nginx', 'millrace'].map((arm, index): Block => {
    const isNode = arm === 'millrace'
    const values = { ...own, ...(isNode ? { ...node, allocated: 2043, heap: 49.3, loopBusy: 0.979 } : {}) }
    const missing: Record<string, string> = isNode ? {} : { node: 'no Node program' }
    const where = { scenario: '64b', arm, round: index, faults: [] }
    return { ...example.blocks[0], ...where, values, costs: { ...costs, missing } }
  })
  const page = await browser.open(htmlReport({ ...example, blocks, comparisons: [] }), { width: 1400 })
  const table = page.locator('table.report', { hasText: 'What else it costs' })
  const rows: string[] = []
  for (const row of await table.locator('tbody tr').all())
    rows.push((await row.locator('td').allTextContents()).join(' | '))
  expect(rows).toEqual([
    'CPU per request, user + system, µs | 3.00 + 7.50 | 3.00 + 7.50',
    'Collections in a block | – | 19.0',
    'Collections per 1,000 requests | – | 0.148',
    'Pauses of a block, ms | – | 16.1',
    'Longest pause, ms | – | 1.57',
    'Time in pauses | – | 0.8 %',
    'Allocated per request, bytes | – | 2,043',
    'Live heap, MiB | – | 49.3',
    'Heap over the run, MiB/min | – | –',
    '… its interval | – | –',
    'RSS within a block, MiB/min | −0.500 | −0.500',
    'RSS over the run, MiB/min | – | –',
    '… its interval | – | –',
    'Event loop busy | – | 97.9 %',
    'Backend connections per 1,000 requests | 0 | 0',
  ])
  for (const reason of [
    '–: collections, allocation, heap and event loop: no Node program (nginx).',
    '–: a slope over the run needs 8 blocks that count, at least three of each process.',
  ])
    expect(await page.locator('main').getByText(reason, { exact: true }).count()).toBe(1)
  expect(browser.errors).toEqual([])
  await page.close()
})
