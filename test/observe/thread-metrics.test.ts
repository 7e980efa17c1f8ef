import { describe, expect, test } from 'vitest'
import { histogramCells, LatencySummary, recordLatency } from '#core/observe/latency-histogram'
import {
  backendLayout,
  errorCodes,
  errorIndex,
  exchangeOutcomes,
  outcomeIndex,
  serviceLayout,
  ThreadMetrics,
  threadLayout,
} from '#core/observe/thread-metrics'

function summary(...values: number[]): LatencySummary {
  const cells = new Float64Array(histogramCells * 3)
  for (const value of values) recordLatency(cells, histogramCells, value)
  const result = new LatencySummary()
  result.add(cells, histogramCells)
  // Nothing is written outside the slice.
  expect(cells.subarray(0, histogramCells).every((cell) => cell === 0)).toBe(true)
  expect(cells.subarray(histogramCells * 2).every((cell) => cell === 0)).toBe(true)
  return result
}

describe('latency histogram', () => {
  test('knows every value from 1 µs to 100 s to within 10 %', () => {
    for (let ms = 0.00101; ms < 1e5; ms *= 1.0137) {
      const quantile = summary(ms).quantile(0.5)
      expect(quantile).toBeGreaterThanOrEqual(ms * 0.999999)
      expect(quantile).toBeLessThanOrEqual(ms * 1.1001)
    }
  })

  test('round bucket bounds are exact', () => {
    const bounds = [0.01, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 250, 1000, 60_000]
    for (const bound of bounds) {
      expect(summary(bound * 0.9999).cumulative([bound])).toEqual([1])
      expect(summary(bound * 1.0001).cumulative([bound])).toEqual([0])
    }
  })

  test('counts and sums; NaN and negative values are not recorded; the extremes have cells of their own', () => {
    const all = summary(0, 0.0001, 1, 2, 4, Number.NaN, -1, 1e9)
    expect(all.count).toBe(6)
    expect(all.sumMs).toBeCloseTo(1e9 + 7.0001)
    expect(all.cumulative([0.001, 1.5, 3, 100_000, Number.POSITIVE_INFINITY])).toEqual([2, 3, 4, 5, 6])
    expect(all.quantile(1)).toBe(Number.POSITIVE_INFINITY)
    expect(summary().quantile(0.5)).toBeNaN()
  })
})

describe('thread metrics', () => {
  const shape = { threads: 2, slots: 3, services: 2 }

  test('each thread writes its own row, each service and backend its own cells', () => {
    const buffers = ThreadMetrics.create(shape)
    const [first, second] = [0, 1].map((thread) => ThreadMetrics.attach(buffers, thread))
    for (const service of [-1, 0, 1]) {
      first.requestDone(service, 200, 1, outcomeIndex.ok)
      first.upstreamTime(service, 1)
      first.overhead(service, 1)
      first.retry(service)
    }
    for (const slot of [0, 1, 2]) {
      for (const outcome of [0, 1, 2]) first.backendDone(slot, outcome)
      first.connectionOpened(slot)
      first.connectError(slot)
    }
    for (const code of errorCodes) first.rejected(errorIndex[code])
    first.clientBytes(1, 1)
    first.clientAccepted()
    first.tunnel(1)
    first.pluginFault()
    first.stall(1)
    // Each of them wrote a 1 into cells of its own: none overlap, none lie in the other thread's row.
    const written = 3 * 8 + 3 * 5 + errorCodes.length + 7
    expect(first.cells.filter((cell) => cell === 1)).toHaveLength(written)
    expect(first.cells.filter((cell) => cell !== 0)).toHaveLength(written)
    expect(second.cells.every((cell) => cell === 0)).toBe(true)
    expect(second.cells.byteOffset).toBe(buffers.memory.byteLength / 2)
    expect(second.cells.byteOffset % 64).toBe(0)
  })

  test('counts by status class and outcome', () => {
    const metrics = ThreadMetrics.attach(ThreadMetrics.create(shape), 0)
    const cell = (statusClass: number, outcome: keyof typeof outcomeIndex): number =>
      metrics.cells[
        metrics.serviceOffset(1) + serviceLayout.requests + statusClass * 6 + outcomeIndex[outcome]
      ]
    metrics.requestDone(1, 204, 1, outcomeIndex.ok)
    metrics.requestDone(1, 599, 1, outcomeIndex.error)
    metrics.requestDone(1, 0, 1, outcomeIndex['client-abort'])
    metrics.requestDone(1, 999, 1, outcomeIndex.ok)
    metrics.requestDone(1, 101, 1e6, outcomeIndex.tunnel)
    expect(cell(2, 'ok')).toBe(1)
    expect(cell(5, 'error')).toBe(1)
    expect(cell(0, 'client-abort')).toBe(1)
    expect(cell(0, 'ok')).toBe(1)
    expect(cell(1, 'tunnel')).toBe(1)
    const durations = new LatencySummary()
    durations.add(metrics.cells, metrics.serviceOffset(1) + serviceLayout.request)
    // The life of a tunnel is no request duration.
    expect(durations.count).toBe(4)
    expect(exchangeOutcomes.map((outcome) => outcomeIndex[outcome])).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('a successor of a dead thread counts on', () => {
    const buffers = ThreadMetrics.create(shape)
    ThreadMetrics.attach(buffers, 1).backendDone(2, 1)
    const successor = ThreadMetrics.attach(buffers, 1)
    successor.backendDone(2, 1)
    expect(successor.cells[successor.backendOffset(2) + backendLayout.attempts + 1]).toBe(2)
    successor.stall(1200)
    expect(successor.cells[threadLayout.stallMs]).toBe(1200)
  })
})
