import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { BenchResults } from '../../bench/report/bench-results.ts'
import { junitXml } from '../../bench/report/exports.ts'
import { htmlReport } from '../../bench/report/html.ts'
import { Browser } from './browser.ts'
import { exampleResults } from './fixtures/bench-results.ts'

const browser = new Browser()
const example = exampleResults()
const exampleHtml = htmlReport(example)
const hostile = '</script><script>window.ran = 1</script><img src=x onerror="window.ran = 2">'

beforeAll(() => browser.start())
afterAll(() => browser.close())
beforeEach(() => {
  browser.requests.length = 0
  browser.errors.length = 0
})

/** Of each chart: how many different opaque colours its canvas has. */
const colorsOfCharts = (page: Page): Promise<{ chart: string; colors: number }[]> =>
  page.evaluate(`[...document.querySelectorAll('[data-chart]')].map((box) => {
    const canvas = box.querySelector('canvas')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    const colors = new Set()
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] === 255) colors.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2])
    }
    return { chart: box.dataset.chart, colors: colors.size }
  })`)

/** Of the named property in the page's style, as the canvas has it; how many pixels of a chart have it. */
const pixelsOf = (page: Page, chart: string, property: string): Promise<number> =>
  page.evaluate(`(() => {
    const hex = getComputedStyle(document.documentElement).getPropertyValue('--${property}').trim()
    const wanted = Number.parseInt(hex.slice(1), 16)
    const canvas = document.querySelector('[data-chart="${chart}"] canvas')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    let count = 0
    for (let at = 0; at < data.length; at += 4) {
      const color = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2]
      if (data[at + 3] === 255 && color === wanted) count++
    }
    return count
  })()`)

/** Texts of the rows of the table with this caption, cells joined with ` | `. */
const rowsOf = (page: Page, caption: string): Promise<string[]> =>
  page.evaluate(`[...document.querySelectorAll('table.report')]
    .filter((table) => table.caption.textContent === ${JSON.stringify(caption)})
    .flatMap((table) => [...table.tBodies[0].rows].map((row) => [...row.cells].map((c) => c.textContent).join(' | ')))`)

const drawn = ['forest', 'timeline', 'forest', 'latency', 'timeline']

describe('the page', () => {
  test.each([
    { width: 1400, dark: false },
    { width: 1400, dark: true },
    { width: 380, dark: false },
    { width: 380, dark: true },
  ])('draws every chart and fetches nothing at $width px, dark: $dark', async (view) => {
    const page = await browser.open(exampleHtml, view)
    const charts = await colorsOfCharts(page)
    expect(charts.map(({ chart }) => chart)).toEqual(drawn)
    for (const { chart, colors } of charts) expect(colors, chart).toBeGreaterThan(3)
    expect(await pixelsOf(page, 'forest', 'worse')).toBeGreaterThan(20)
    expect(await pixelsOf(page, 'forest', 'better')).toBeGreaterThan(20)
    expect(await pixelsOf(page, 'forest', 'band')).toBeGreaterThan(200)
    for (let arm = 0; arm < 5; arm++) expect(await pixelsOf(page, 'latency', `arm-${arm}`)).toBeGreaterThan(5)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(view.width)
    expect(browser.requests).toEqual([])
    expect(browser.errors).toEqual([])
    await page.close()
  })

  test('names nothing outside of itself', () => {
    const styles = exampleHtml.match(/<style>.*?<\/style>/s)?.[0] ?? ''
    expect(styles).toContain('--paper')
    expect(styles.match(/@import|url\(/g)).toBe(null)
    expect(exampleHtml.match(/\b(src|href|action)\s*=\s*["']?(https?:)?\/\//gi)).toBe(null)
  })

  test('draws anew when the width and the colours change', async () => {
    const page = await browser.open(exampleHtml, { width: 1400 })
    await page.setViewportSize({ width: 380, height: 900 })
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.waitForFunction('document.documentElement.scrollWidth === 380')
    await page.waitForFunction(
      `[...document.querySelectorAll('.uplot')].every((chart) => chart.clientWidth < 380)`,
    )
    expect(await pixelsOf(page, 'forest', 'worse')).toBeGreaterThan(20)
    expect((await colorsOfCharts(page)).length).toBe(drawn.length)
    await page.close()
  })

  test('the timeline shows the metric that is chosen', async () => {
    const page = await browser.open(exampleHtml, { width: 1400 })
    const picture = () => page.evaluate(`document.querySelector('[data-chart=timeline] canvas').toDataURL()`)
    const before = await picture()
    await page.locator('select').first().selectOption('1')
    expect(await picture()).not.toBe(before)
    await page.close()
  })
})

describe('the tables hold the figures', () => {
  let page: Page
  beforeAll(async () => {
    page = await browser.open(htmlReport(givenResults()), { width: 1400 })
  })

  test('of comparisons, with verdicts in words', async () => {
    expect(await rowsOf(page, 'Comparisons')).toEqual([
      'CPU per request | Proxy against nginx | 10.0 µs | +12.3 % | +10.1 % … +14.0 % | 3.4 % | 9 | ' +
        '■ worse: 12.3 % higher, the whole interval lies beyond the threshold of 5 %',
      'Throughput | Proxy against nginx | 1,000 req/s | +1.2 % | −9.0 % … +8.0 % | 11 % | 4 | ' +
        '○ unclear: 4 blocks, at least 8 are needed for 99 % confidence',
    ])
  })

  test('of medians with smallest and largest, without blocks that do not count', async () => {
    expect(await rowsOf(page, 'Medians (smallest–largest block)')).toEqual([
      'nginx | 10.0 (9.50–11.0) | 1,000',
      'Proxy | 11.2 | –',
    ])
  })

  test('of the blocks that do not count, the missing arms, the machine', async () => {
    expect(await rowsOf(page, 'Blocks that do not count')).toEqual([
      '1 | One | nginx | 4 | 40 s | it rained; it snowed',
    ])
    expect(await rowsOf(page, 'Arms')).toEqual([
      'nginx | nginx | 3 of 4 blocks count',
      'Proxy | proxy | 1 of 1 block count',
      'Envoy | envoy | missing: not installed',
    ])
    expect(await rowsOf(page, 'Scenarios')).toEqual(['One | one | closed loop, 8 connections | 5'])
    expect(await rowsOf(page, 'Machine and run')).toContain('Seed | 20260311')
    expect(await page.locator('.verdict').textContent()).toBe(
      'Worse in 1 of 2 comparisons; better in 0, the same in 0, unclear in 1.',
    )
    expect(await page.locator('.note').textContent()).toBe('Note: a note')
  })
})

describe('what is strange', () => {
  test('texts are shown as they are, and never run', async () => {
    const page = await browser.open(htmlReport(hostileResults()), { width: 1400 })
    expect(await page.evaluate('window.ran')).toBe(undefined)
    expect(await page.locator('img, main script').count()).toBe(0)
    expect(await page.locator('h1').textContent()).toBe(`Millrace bench: ${hostile}`)
    expect(await page.locator('.u-legend').first().textContent()).toContain(hostile)
    expect((await colorsOfCharts(page)).length).toBe(drawn.length)
    expect(browser.requests).toEqual([])
    expect(browser.errors).toEqual([])
    await page.close()
  })

  test('a run of which nothing counts, and one with nothing in it, are shown', async () => {
    const blocks = givenResults().blocks.map((block) => ({ ...block, faults: ['broken'] }))
    const nothing = { ...givenResults(), scenarios: [], blocks: [], comparisons: [] }
    for (const results of [{ ...givenResults(), blocks, comparisons: [] }, nothing]) {
      const page = await browser.open(htmlReport(results), { width: 380 })
      expect(await page.locator('.verdict').textContent()).toBe('Nothing could be compared.')
      expect(browser.errors).toEqual([])
      await page.close()
    }
  })

  test('results that went through JSON, where infinity is null, make the same page or a dash', async () => {
    const read = (results: BenchResults): BenchResults => JSON.parse(JSON.stringify(results))
    expect(htmlReport(read(example)) === exampleHtml).toBe(true)
    const infinite = { median: Infinity, low: Infinity, high: Infinity, standardError: NaN, count: 9 }
    const comparisons = givenResults().comparisons.map((one) => ({ ...one, relative: infinite }))
    const page = await browser.open(htmlReport(read({ ...givenResults(), comparisons })), { width: 1400 })
    expect((await rowsOf(page, 'Comparisons'))[0]).toContain('| – | – … – |')
    expect(browser.errors).toEqual([])
    await page.close()
  })
})

describe('JUnit', () => {
  test.each([
    ['a usual run', example],
    ['one with strange texts', hostileResults()],
  ])('%s is well-formed, with the counts it promises', async (_, results) => {
    const page = await browser.open('<!doctype html><link rel="icon" href="data:,">', { width: 380 })
    const found: { errors: number; suites: Record<string, string>[]; failures: number; skipped: number } =
      await page.evaluate(`(() => {
        const xml = new DOMParser().parseFromString(${JSON.stringify(junitXml(results))}, 'application/xml')
        const count = (name) => xml.getElementsByTagName(name).length
        const attributes = (element) => Object.fromEntries([...element.attributes].map((a) => [a.name, a.value]))
        return {
          errors: count('parsererror'),
          suites: [...xml.getElementsByTagName('testsuite')].map((suite) => ({
            ...attributes(suite), cases: String(suite.getElementsByTagName('testcase').length),
          })),
          failures: count('failure'),
          skipped: count('skipped'),
        }
      })()`)
    const of = (outcome: string) => results.comparisons.filter((c) => c.outcome === outcome).length
    expect(found).toMatchObject({ errors: 0, failures: of('worse'), skipped: of('unclear') })
    expect(found.suites.map(({ name }) => name)).toEqual(
      results.scenarios.map(({ title }) => title.replaceAll('\u0000', '\uFFFD')),
    )
    for (const suite of found.suites) expect(suite.cases).toBe(suite.tests)
    await page.close()
  })
})

function hostileResults(): BenchResults {
  return {
    ...example,
    suite: hostile,
    arms: example.arms.map((arm) => ({ ...arm, title: hostile, missing: arm.missing && hostile })),
    scenarios: example.scenarios.map((scenario) => ({ ...scenario, title: `${hostile}\u0000\n<!--]]>` })),
    blocks: example.blocks.map((block) => ({ ...block, faults: block.faults.map(() => hostile) })),
    notes: [hostile],
  }
}

function givenResults(): BenchResults {
  const block = { ...example.blocks[0], scenario: 'one', curve: [], faults: [] }
  const estimate = { standardError: 0.01, count: 9 }
  const pair = { scenario: 'one', arm: 'proxy', baseline: 'nginx' }
  const worse = { median: 0.123, low: 0.101, high: 0.14, ...estimate }
  const unclear = { median: 0.0123, low: -0.09, high: 0.08, standardError: 0.04, count: 4 }
  return {
    ...example,
    arms: [
      { name: 'nginx', title: 'nginx', missing: undefined },
      { name: 'proxy', title: 'Proxy', missing: undefined },
      { name: 'envoy', title: 'Envoy', missing: 'not installed' },
    ],
    scenarios: [{ name: 'one', title: 'One', load: 'closed', connections: 8, ratePerSecond: undefined }],
    blocks: [
      { ...block, arm: 'nginx', round: 1, startedAt: 0, values: { cpu: 10, throughput: 1000 } },
      { ...block, arm: 'nginx', round: 2, startedAt: 10, values: { cpu: 11 } },
      { ...block, arm: 'nginx', round: 3, startedAt: 20, values: { cpu: 9.5 } },
      { ...block, arm: 'proxy', round: 1, startedAt: 30, values: { cpu: 11.23 } },
      {
        ...block,
        arm: 'nginx',
        round: 4,
        startedAt: 40,
        values: { cpu: 99 },
        faults: ['it rained', 'it snowed'],
      },
    ],
    comparisons: [
      {
        ...pair,
        metric: 'cpu',
        base: 10,
        difference: worse,
        relative: worse,
        detectable: 0.034,
        threshold: 0.05,
        outcome: 'worse',
      },
      {
        ...pair,
        metric: 'throughput',
        base: 1000,
        difference: unclear,
        relative: unclear,
        detectable: 0.11,
        threshold: 0.07,
        outcome: 'unclear',
      },
    ],
    notes: ['a note'],
  }
}
