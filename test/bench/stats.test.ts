import { describe, expect, test } from 'vitest'
import { parseWrk } from '../../bench/load/wrk.ts'
import { cpuBetween } from '../../bench/stats/cpu.ts'
import { summariseProfile } from '../../bench/stats/cpu-profile.ts'
import { parseGcTrace } from '../../bench/stats/gc-trace.ts'
import { parseGauges } from '../../bench/stats/prometheus.ts'
import { seededRandom, shuffled } from '../../bench/stats/random.ts'
import { commonSlope, trend } from '../../bench/stats/slope.ts'
import { median, ratiosByRound, spread } from '../../bench/stats/summary.ts'

describe('summary', () => {
  test('the median of an even count lies between the two in the middle', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, count: 3 })
    expect(spread([])).toBeUndefined()
  })

  test('ratios are taken within a round, so a drift between rounds does not enter them', () => {
    const ours = new Map([
      [1, 10],
      [2, 100],
      [3, 7],
    ])
    const theirs = new Map([
      [2, 50],
      [1, 5],
    ])
    expect(ratiosByRound(ours, theirs)).toEqual([2, 2])
  })
})

describe('order of the arms', () => {
  test('the same seed gives the same order, and every arm is in it once', () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const once = shuffled(names, seededRandom(7))
    expect(shuffled(names, seededRandom(7))).toEqual(once)
    expect([...once].sort()).toEqual(names)
    const orders = new Set(
      Array.from({ length: 50 }, (_, seed) => shuffled(names, seededRandom(seed)).join()),
    )
    expect(orders.size).toBeGreaterThan(20)
  })
})

describe('trend', () => {
  const points = (value: (seconds: number) => number) =>
    Array.from({ length: 120 }, (_, index) => ({ seconds: index * 5, value: value(index * 5) }))

  test('a saw-tooth of garbage on a level floor is level', () => {
    const line = trend(points((seconds) => 100 + (seconds % 40)))
    expect(Math.abs(line?.perMinute ?? Number.NaN)).toBeLessThan(0.1)
  })

  test('a floor that rises under the saw-tooth is found', () => {
    const line = trend(points((seconds) => 100 + seconds / 60 + (seconds % 40)))
    expect(line?.perMinute).toBeCloseTo(1, 1)
  })

  test('its interval holds what is level, and lies above 0 where the floor rises', () => {
    const level = trend(points((seconds) => 100 + (seconds % 40)))!
    expect(level.low).toBeLessThanOrEqual(0)
    expect(level.high).toBeGreaterThanOrEqual(0)
    const rising = trend(points((seconds) => 100 + seconds / 60 + (seconds % 40)))!
    expect(rising.low).toBeGreaterThan(0.5)
    expect(rising.high).toBeLessThan(1.5)
  })

  test('one that falls does not grow', () => {
    expect(trend(points((seconds) => 1000 - seconds))!.high).toBeLessThan(0)
  })

  test('what grew in the warm-up only does not count', () => {
    const line = trend(points((seconds) => Math.min(seconds, 100)))
    expect(line?.perMinute).toBeCloseTo(0, 5)
  })
})

describe('slope of several processes', () => {
  const options = { confidence: 0.99, random: seededRandom(3) }
  const line = (level: number, perSecond: number) =>
    Array.from({ length: 6 }, (_, at) => ({
      seconds: at * 10,
      value: level + perSecond * at * 10 + (at % 2),
    }))

  test('is that within them, not that between them', () => {
    const slope = commonSlope([line(500, 1), line(100, 1)], options)!
    expect(slope.low).toBeLessThan(60)
    expect(slope.high).toBeGreaterThan(60)
    expect(slope.low).toBeGreaterThan(50)
    expect(slope.high).toBeLessThan(70)
  })

  test('of too few points there is none', () => {
    expect(commonSlope([line(500, 1)], options)).toBeUndefined()
    expect(commonSlope([], options)).toBeUndefined()
  })
})

describe('readings', () => {
  test('CPU of new threads counts in full, and threads that ended are counted', () => {
    const before = {
      threads: new Map([
        ['1/1', 100],
        ['1/2', 50],
      ]),
      waits: new Map([['1/1', 7]]),
      userTicks: new Map([
        ['1/1', 10],
        ['1/2', 500],
      ]),
      kernelTicks: new Map([['1/1', 10]]),
    }
    const after = {
      threads: new Map([
        ['1/1', 400],
        ['1/3', 25],
      ]),
      waits: new Map([
        ['1/1', 10],
        ['1/3', 2],
      ]),
      userTicks: new Map([['1/1', 11]]),
      kernelTicks: new Map([
        ['1/1', 12],
        ['1/3', 1],
      ]),
    }
    expect(cpuBetween(before, after)).toEqual({
      nanoseconds: 325,
      waitedNanoseconds: 5,
      userShare: 0.25,
      ticks: 4,
      lostThreads: 1,
    })
  })

  test('wrk errors of every kind are added up', () => {
    const line =
      '{"requests":10,"microseconds":2000000,"bytes":1,"p50":1,"p90":2,"p99":3,"max":4,' +
      '"connect":1,"read":2,"write":3,"timeout":4,"status":5}'
    const result = parseWrk(`Running 2s test\n${line}\n`)
    expect(result).toMatchObject({ requests: 10, seconds: 2, errors: 15 })
    expect(() => parseWrk('unable to connect')).toThrow(/no result[\s\S]*unable to connect/)
  })

  test('gauges are summed over their labels; counters are left out', () => {
    const text =
      '# TYPE open gauge\nopen{service="a}b"} 2\nopen{service="c"} 3\n# TYPE total counter\ntotal 9\n' +
      '# TYPE broken gauge\nbroken NaN\n'
    expect([...parseGauges(text)]).toEqual([['open', 5]])
  })

  test('a GC trace gives the live heap of each isolate', () => {
    const text =
      '[24:0x12:0]       18 ms: Scavenge 4.8 (5.8) -> 4.5 (6.8) MB, pooled: 0 MB, 1.12 / 0.00 ms\n{"level":30}\n' +
      '[24:0x34:1]     2000 ms: Mark-Compact (reduce) 9.8 (16.9) -> 2.0 (7.1) MB, pooled: 0 MB\n'
    expect([...parseGcTrace(text)]).toEqual([
      ['0x12', [{ seconds: 0.018, value: 4.5 * 1024 * 1024 }]],
      ['0x34', [{ seconds: 2, value: 2 * 1024 * 1024 }]],
    ])
  })

  test('self time leaves out idle time and names file and line', () => {
    const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 4 })
    const summary = summariseProfile(
      {
        nodes: [
          { id: 1, callFrame: frame('parse', 'file:///repo/core/a.ts') },
          { id: 2, callFrame: frame('(idle)', '') },
          { id: 3, callFrame: frame('write', '') },
        ],
        samples: [1, 2, 3, 1],
        timeDeltas: [1000, 5000, 1000, 2000],
      },
      '/repo/',
    )
    expect(summary.idleMs).toBe(5)
    expect(summary.functions).toEqual([
      { place: 'parse core/a.ts:5', milliseconds: 3, share: 0.75 },
      { place: 'write', milliseconds: 1, share: 0.25 },
    ])
  })
})
