import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DelayOptions } from '../../bench/arms/delay-backend.ts'
import { Processes } from '../../bench/arms/processes.ts'
import { type DelayBackend, startDelayBackend } from '../../bench/harness/delay-backend.ts'
import { OpenLoopDriver } from '../../bench/harness/open-loop-driver.ts'
import { gaps } from '../../bench/load/arrivals.ts'
import { blockFaults } from '../../bench/load/block-faults.ts'
import type { OpenLoopOptions, OpenLoopResult } from '../../bench/load/open-loop.ts'
import { seededRandom } from '../../bench/stats/random.ts'

describe('arrivals', () => {
  test.each(['poisson', 'uniform'] as const)('%s: the rate is kept on average', (kind) => {
    const gap = gaps(kind, 2000, seededRandom(1))
    const times = Array.from({ length: 20_000 }, gap)
    expect(times.reduce((sum, time) => sum + time, 0) / times.length).toBeCloseTo(0.5, 1)
  })

  test('of a Poisson process the gaps vary as much as they are long', () => {
    const gap = gaps('poisson', 1000, seededRandom(2))
    const times = Array.from({ length: 20_000 }, gap)
    const variance = times.reduce((sum, time) => sum + (time - 1) ** 2, 0) / times.length
    expect(Math.sqrt(variance)).toBeGreaterThan(0.9)
    expect(Math.sqrt(variance)).toBeLessThan(1.1)
  })
})

describe('open loop', () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-open-loop-'))
  const processes = new Processes(directory)
  let driver: OpenLoopDriver
  beforeAll(async () => {
    driver = await OpenLoopDriver.start({ processes, cores: '0' }, { warmupSeconds: 1 })
  })
  afterAll(async () => {
    await processes.stopAll()
    rmSync(directory, { recursive: true, force: true })
  })

  const backend = (options: Partial<DelayOptions>): Promise<DelayBackend> =>
    startDelayBackend(processes, '1', Math.random, {
      ...{ delayMs: 20, sigma: 0, seed: 1, bodyBytes: 64, stallMs: 0, stallAfterMs: 0 },
      ...options,
    })

  function load(port: number, options: Partial<OpenLoopOptions>): Promise<OpenLoopResult> {
    return driver.run({
      ...{ url: `http://127.0.0.1:${port}/`, ratePerSecond: 500, seconds: 2, warmupSeconds: 0.5 },
      ...{ arrivals: 'poisson', seed: 7, connections: 512, patienceMs: 5000, spin: false },
      ...options,
    })
  }

  describe('a server that takes 20 ms', () => {
    let server: DelayBackend
    beforeAll(async () => {
      server = await backend({})
    })

    // The server and the driver have a core each; either is full at about 6,000 requests a second. Who else is at work on
    // them delays both, so a block may be lost; a driver that measures wrongly loses all.
    test.each([600, 4500])('is measured to within 1 ms at %d requests a second', async (ratePerSecond) => {
      const errors: number[] = []
      do {
        await server.recorded()
        const result = await load(server.port, { ratePerSecond, seconds: 1 })
        const recorded = await server.recorded()
        expect(result.failures).toEqual({})
        expect(result.planned).toBeGreaterThan(ratePerSecond * 0.85)
        errors.push(Math.abs(result.latency.p50 - recorded.p50))
      } while (errors.at(-1)! >= 1 && errors.length < 12)
      expect(Math.min(...errors)).toBeLessThan(1)
    })
  })

  test('a stall of a second is charged to everybody who came meanwhile', async () => {
    const server = await backend({ delayMs: 0, stallMs: 1000, stallAfterMs: 1500 })
    const result = await load(server.port, { ratePerSecond: 200, seconds: 4 })
    // A fifth of the requests came in that second, at even distances: a closed loop would have seen one of them.
    expect(result.latency.p999).toBeGreaterThan(900)
    expect(result.latency.p90).toBeGreaterThan(300)
    expect(result.latency.p50).toBeLessThan(100)
    expect(result.failed).toBe(0)
  })

  test('a server that is not there fails every request, and the block says so', async () => {
    const result = await load(1, { seconds: 0.3, warmupSeconds: 0, patienceMs: 500 })
    expect(result.completed).toBe(0)
    expect(result.failed).toBe(result.planned)
    expect(blockFaults(result).join()).toContain('ECONNREFUSED')
  })
})

describe('a block is thrown out', () => {
  const quantiles = { count: 100, mean: 5, p50: 5, p90: 5, p99: 5, p999: 5, max: 5 }
  const good = {
    options: { seconds: 1, ratePerSecond: 100 },
    ...{ sent: 100, planned: 100, completed: 100, failed: 0, failures: {}, curve: [] },
    ...{ latency: quantiles, service: quantiles, lag: { ...quantiles, p99: 0.1 }, driverCpu: 0.5 },
  } as unknown as OpenLoopResult

  test('not when all is well', () => {
    expect(blockFaults(good)).toEqual([])
  })

  test.each([
    ['when a request failed', { failed: 1, failures: { 'status 502': 1 } }, '1 × status 502'],
    ['when the driver lagged', { lag: { ...quantiles, p99: 0.6 } }, 'the driver lagged: p99 0.600 ms'],
    ['when the rate was not reached', { completed: 98 }, '98.0 % of the planned requests'],
    ['when the driver had no time left', { driverCpu: 0.97 }, 'used 97 % of its core'],
  ])('%s', (_, change, text) => {
    expect(blockFaults({ ...good, ...change }).join()).toContain(text)
  })
})
