import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { repository } from '../../bench/arms/millrace.ts'
import { benchConfig } from '../../bench/arms/millrace-config.ts'
import { judge } from '../../bench/harness/compare.ts'
import { checkOut, removeCheckouts } from '../../bench/harness/revisions.ts'
import type { ArmComparison, BenchResults } from '../../bench/report/bench-results.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-compare-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** `high`: upper bound of the relative difference, of a threshold of 0.05. */
const found = (...outcomes: (readonly [metric: string, outcome: string, high?: number])[]): BenchResults =>
  ({
    confidence: 0.99,
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

  test.each([
    ['- a list', 'a mapping expected'],
    ['routes: []', 'services expected'],
  ])('%s is refused', (text, message) => {
    expect(() => benchConfig(write(text), addresses)).toThrow(message)
  })
})

describe('a revision', () => {
  test('is a folder of its own, with packages, until it is removed', () => {
    const head = execFileSync('git', ['-C', repository, 'rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
    }).trim()
    const checkout = checkOut(repository, 'HEAD', directory)
    expect(checkout.title).toBe(head)
    expect(JSON.parse(readFileSync(join(checkout.directory, 'package.json'), 'utf8')).name).toBe('millrace')
    expect(existsSync(join(checkout.directory, 'node_modules'))).toBe(true)
    removeCheckouts(repository, [checkout])
    expect(existsSync(checkout.directory)).toBe(false)
  })

  test('that git does not know is named', () => {
    expect(() => checkOut(repository, 'no-such-thing', directory)).toThrow(/no-such-thing/)
  })

  test('"." is the working tree', () => {
    expect(checkOut(repository, '.', directory)).toEqual({ directory: repository, title: 'working tree' })
  })
})
