/** The part of `millrace bench paper` that measures proxies: what it says of them, and a whole run with little of everything. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { HashingPlan } from '../../bench/paper/hashing.ts'
import { figuresOf } from '../../bench/paper/measures.ts'
import { measurePaper, writePaper } from '../../bench/paper/run.ts'
import { keptUp, memoryNeed, type SizingPlan } from '../../bench/paper/sizing.ts'

const out = mkdtempSync(join(tmpdir(), 'millrace-paper-'))
afterAll(() => rmSync(out, { recursive: true, force: true }))

const signal = new AbortController().signal
const say = (): void => {}

const hashing: HashingPlan = {
  ...{ backends: 20, sizes: [251, 2003], sets: 3 },
  ...{ failures: [1, 4], trials: [6, 4], checks: [2, 1] },
}
const sizing: SizingPlan = {
  ...{ arms: ['millrace'], connections: [32, 88], rounds: 1, seconds: 1 },
  ...{ firstWarmupSeconds: 1, warmupSeconds: 1, openWarmupSeconds: 1 },
}

describe('sizing', () => {
  test('a rate is kept when nothing failed, nearly all came, and no queue grew', () => {
    const latency = { count: 1000, mean: 1, p50: 0.5, p90: 1, p99: 40, p999: 50, max: 60 }
    const good = { failed: 0, requests: 1990, seconds: 2, latency }
    expect(keptUp(good, 1000)).toBe(true)
    expect(keptUp({ ...good, failed: 1 }, 1000)).toBe(false)
    expect(keptUp({ ...good, requests: 1900 }, 1000)).toBe(false)
    expect(keptUp({ ...good, latency: { ...latency, p50: 600 } }, 1000)).toBe(false)
    expect(keptUp({ ...good, latency: undefined }, 1000)).toBe(false)
  })

  test('connections in 4 GiB are what is left over what one takes, of the process and of one end in the kernel', () => {
    const figures = (value: number) => figuresOf([value])
    const at = [
      { connections: 100, rssMiB: figures(84), kernelMiB: 0 },
      { connections: 1124, rssMiB: figures(89), kernelMiB: 6 },
    ] as unknown as Parameters<typeof memoryNeed>[0]['at']
    // 5 + 3 KiB each, of 4,096 − 512 − 84 MiB.
    expect(memoryNeed({ at })).toEqual({ processKiB: 5, kernelKiB: 3, connections: (3500 * 1024) / 8 })
    expect(memoryNeed({ at: at.slice(0, 1) })).toBeUndefined()
  })
})

test('measures a running proxy, and writes tables, pictures and figures', {
  timeout: 120_000,
}, async () => {
  const results = await measurePaper({
    ...{ only: undefined, quick: true, seed: 5, plans: { hashing, sizing }, signal, say },
  })
  expect(results.sizing?.sized.map(({ arm }) => arm)).toEqual(['millrace'])
  for (const { saturation, cpuMicros, sustained, at } of results.sizing!.sized) {
    expect(sustained).toBeGreaterThan(0)
    expect(sustained).toBeLessThan(saturation.median)
    expect(cpuMicros.median).toBeGreaterThan(0)
    expect(at.map(({ connections, held }) => [connections, held])).toEqual([
      [32, 0],
      [88, 56],
    ])
    for (const { rssMiB, p99 } of at) {
      expect(rssMiB.median).toBeGreaterThan(1)
      expect(p99.median).toBeGreaterThan(0)
    }
  }
  const text = writePaper(results, out)
  expect(readdirSync(out).sort()).toEqual([
    ...['paper-maglev.svg', 'paper-sizing.svg', 'paper.json', 'paper.md'],
  ])
  expect(JSON.parse(readFileSync(join(out, 'paper.json'), 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(results)),
  )
  const markdown = readFileSync(join(out, 'paper.md'), 'utf8')
  for (const title of [
    'Load balance',
    'Disruption',
    'Requests a second on one core',
    'Memory at that rate',
  ]) {
    expect(markdown).toContain(`### ${title}`)
    expect(text).toContain(title)
  }
  for (const name of ['paper-maglev.svg', 'paper-sizing.svg'])
    expect(readFileSync(join(out, name), 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
})
