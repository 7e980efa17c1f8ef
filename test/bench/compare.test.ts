import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { repository } from '../../bench/arms/millrace.ts'
import { benchConfig } from '../../bench/arms/millrace-config.ts'
import { judge } from '../../bench/harness/compare.ts'
import { poolResults } from '../../bench/harness/pool-results.ts'
import { checkOut, removeCheckouts } from '../../bench/harness/revisions.ts'
import type { ArmComparison, BenchResults } from '../../bench/report/bench-results.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-compare-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** `high`: upper bound of the relative difference, of a threshold of 0.05. */
const found = (...outcomes: (readonly [metric: string, outcome: string, high?: number])[]): BenchResults =>
  ({
    confidence: 0.99,
    scenarios: [{ name: 's' }],
    comparisons: outcomes.map(([metric, outcome, high = 0.04]) => {
      const relative = { median: 0, low: -0.1, high, standardError: 0.01, count: 12 }
      return { scenario: 's', metric, outcome, relative, threshold: 0.05 } as unknown as ArmComparison
    }),
  }) as unknown as BenchResults

describe('a change is judged', () => {
  test('a regression when the same metric is worse both times', () => {
    const judged = judge(found(['cpu', 'worse'], ['p99', 'worse']), found(['cpu', 'worse'], ['p99', 'same']))
    expect(judged.judgement).toBe('regression')
    expect(judged.worse.map(({ metric }) => metric)).toEqual(['cpu'])
  })

  test('fine when only one of two measurements saw it', () => {
    expect(
      judge(found(['p99', 'worse'], ['cpu', 'same']), found(['p99', 'unclear'], ['cpu', 'same'])),
    ).toEqual({
      judgement: 'fine',
      worse: [],
    })
  })

  test('too noisy when the CPU per request could be worse by more than its threshold', () => {
    expect(judge(found(['cpu', 'worse']), found(['cpu', 'unclear', 0.06])).judgement).toBe('too noisy')
  })

  test('fine when it is unclear how much better it is, but not worse by more than that', () => {
    expect(judge(found(['cpu', 'worse']), found(['cpu', 'unclear', 0.01])).judgement).toBe('fine')
  })
})

describe('two measurements are one with more rounds', () => {
  const measured = (
    startedAt: string,
    scenarios: readonly string[],
    head: readonly number[],
  ): BenchResults => {
    const blocks = scenarios.flatMap((scenario) =>
      head.flatMap((cpu, index) =>
        ['base', 'head'].map((arm) => ({
          ...{ scenario, arm, round: index + 1, startedAt: index, faults: [] },
          values: { cpu: arm === 'base' ? 10 : cpu },
        })),
      ),
    )
    return {
      ...{ startedAt, seed: 1, confidence: 0.99, comparisons: [], notes: ['one', startedAt] },
      arms: [{ name: 'base' }, { name: 'head' }],
      scenarios: scenarios.map((name) => ({ name })),
      blocks,
    } as unknown as BenchResults
  }
  const first = measured('2026-01-01T00:00:00Z', ['a', 'b'], [9, 10, 11, 12, 9, 10, 11, 12])
  const second = measured('2026-01-01T00:02:00Z', ['a'], [10, 10, 10, 10, 10, 10, 10, 10])
  const pooled = poolResults(first, second, { baseline: 'base', threshold: () => 0.05 })
  const cpu = (scenario: string) => pooled.comparisons.find((one) => one.scenario === scenario)!

  test('the blocks of both count, each once', () => {
    expect(cpu('a').relative.count).toBe(16)
    expect(
      pooled.blocks.filter(({ scenario, arm }) => scenario === 'a' && arm === 'head').at(-1),
    ).toMatchObject({ round: 16, startedAt: 127 })
  })

  test('a scenario that was clear stays as it is', () => {
    expect(cpu('b').relative.count).toBe(8)
  })

  test('the interval is the narrower one', () => {
    const width = ({ relative }: ArmComparison): number => relative.high - relative.low
    expect(width(cpu('a'))).toBeLessThan(width(cpu('b')))
  })

  test('notes of both stand there once', () => {
    expect(pooled.notes).toEqual(['one', '2026-01-01T00:00:00Z', '2026-01-01T00:02:00Z'])
  })
})

describe('a config of the user for the bench', () => {
  const addresses = { port: 1, adminPort: 2, backendPort: 3, data: '/data' }
  const write = (text: string): string => {
    const path = join(directory, 'user.yaml')
    writeFileSync(path, text)
    return path
  }

  test('keeps its policies and gets our addresses; its plugins are found from where it lies', () => {
    const path = write(`
plugins: [./own.ts, "@acme/x"]
listeners: { a: { address: 0.0.0.0:80 } }
services:
  shop: { algorithm: own, backends: [{ url: "http://10.0.0.1", weight: 3 }], retries: { attempts: 2 } }
`)
    const config = parse(benchConfig(path, addresses))
    expect(config.plugins).toEqual([join(directory, 'own.ts'), '@acme/x'])
    expect(config.listeners).toEqual({ web: { address: '127.0.0.1:1' } })
    expect(config.services.shop).toEqual({
      algorithm: 'own',
      backends: ['http://127.0.0.1:3'],
      retries: { attempts: 2 },
    })
  })

  test('names the file of a package that is installed beside it', () => {
    const place = join(directory, 'node_modules/@acme/installed')
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'package.json'), '{ "type": "module", "exports": { "import": "./plugin.js" } }')
    writeFileSync(join(place, 'plugin.js'), '')
    const config = parse(benchConfig(write('plugins: ["@acme/installed"]\nservices: {}'), addresses))
    expect(config.plugins).toEqual([pathToFileURL(join(place, 'plugin.js')).href])
  })

  test.each([
    ['- a list', 'a mapping expected'],
    ['routes: []', 'services expected'],
  ])('%s is refused', (text, message) => {
    expect(() => benchConfig(write(text), addresses)).toThrow(message)
  })
})

describe('a revision', () => {
  const own = { repository, projects: [''] }

  test('is a folder of its own, with packages, until it is removed', () => {
    const head = execFileSync('git', ['-C', repository, 'rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
    }).trim()
    const checkout = checkOut(own, 'HEAD', directory)
    expect(checkout.title).toBe(head)
    expect(JSON.parse(readFileSync(join(checkout.directory, 'package.json'), 'utf8')).name).toBe('millrace')
    expect(existsSync(join(checkout.directory, 'node_modules'))).toBe(true)
    removeCheckouts(repository, [checkout])
    expect(existsSync(checkout.directory)).toBe(false)
  })

  test('that git does not know is named', () => {
    expect(() => checkOut(own, 'no-such-thing', directory)).toThrow(/no-such-thing/)
  })

  test('"." is the working tree', () => {
    expect(checkOut(own, '.', directory)).toEqual({ directory: repository, title: 'working tree' })
  })
})
