/** The balancing settings of a service, with every built-in algorithm. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { ServiceRuntime } from '../../core/proxy/service-runtime.ts'
import { builtins } from '../../plugins/manifest.ts'
import { collect } from '../conformance/leaks.ts'
import { chiSquare, chiSquareLimit } from '../plugins/statistics.ts'
import { type BenchBackend, serviceBench } from './service-bench.ts'

const algorithms = builtins.filter(({ kind }) => kind === 'algorithm').map(({ name }) => name)
/** Those that give the same backend for the same key. */
const hashing = ['ring-hash', 'maglev', 'rendezvous'].filter((name) => algorithms.includes(name))
const others = algorithms.filter((name) => !hashing.includes(name))

const many = (count: number, backend: BenchBackend = {}): BenchBackend[] => Array(count).fill(backend)
const keys = (index: number) => ({ key: `key-${index}` })

function expectShares(counts: readonly number[], shares: readonly number[], within: number): void {
  const total = counts.reduce((sum, count) => sum + count, 0)
  const all = shares.reduce((sum, share) => sum + share, 0)
  for (const [index, count] of counts.entries())
    expect(Math.abs(count / total - shares[index] / all), `${counts}`).toBeLessThan(within)
}

describe.each(algorithms)('%s', (algorithm) => {
  test('slow start: a backend that comes back gets a tenth of its share, half of it at half time, then all', async () => {
    const bench = await serviceBench(many(4), { algorithm, slowStart: '30s' })
    expectShares(bench.counts(4000, keys), [1, 1, 1, 1], 0.1)
    bench.down(3)
    expect(bench.counts(400, keys)[3]).toBe(0)
    bench.up(3)
    bench.pick()
    const [, , , before] = (await serviceBench(many(4), { algorithm })).counts(4000, keys)
    const shareNow = (): number => bench.counts(4000, keys)[3] / before
    expect(shareNow()).toBeLessThan(0.25)
    expect(shareNow()).toBeGreaterThan(0.05)
    bench.clock.advance(15_000)
    expect(shareNow()).toBeGreaterThan(0.4)
    expect(shareNow()).toBeLessThan(0.7)
    bench.clock.advance(15_000)
    expect(shareNow()).toBeCloseTo(1, 0)
    expect(bench.faults).toEqual([])
  })

  test('tiers: half of the first tier gone, 70 % stay and 30 % go to the next one', async () => {
    const members = [...many(4), ...many(4, { priority: 1 })]
    const bench = await serviceBench(members, { algorithm })
    expect(bench.counts(800, keys).slice(4)).toEqual([0, 0, 0, 0])
    bench.down(0, 1)
    const counts = bench.counts(8000, keys)
    const next = counts.slice(4).reduce((sum, count) => sum + count, 0)
    expect(next / 8000).toBeGreaterThan(0.2)
    expect(next / 8000).toBeLessThan(0.4)
    bench.down(2, 3)
    expect(bench.counts(800, keys).slice(0, 4)).toEqual([0, 0, 0, 0])
    expect(bench.faults).toEqual([])
  })

  test('zones: everything stays in the own zone until it is short of backends', async () => {
    const members = [...many(3, { zone: 'a' }), ...many(3, { zone: 'b' })]
    const bench = await serviceBench(members, { algorithm }, 'b')
    expect(bench.counts(600, keys).slice(0, 3)).toEqual([0, 0, 0])
    bench.down(3, 4)
    // 2 zones × 1 of 4 backends: half stays.
    const [, , , , , own] = bench.counts(8000, keys)
    expect(own / 8000).toBeGreaterThan(0.4)
    expect(own / 8000).toBeLessThan(0.6)
    const indifferent = await serviceBench(members, { algorithm, zonePreference: false }, 'b')
    expect(Math.min(...indifferent.counts(6000, keys))).toBeGreaterThan(300)
    expect(bench.faults).toEqual([])
  })

  test('load bound: nobody over 1.25 × the mean is picked', async () => {
    const bench = await serviceBench(many(5), { algorithm, loadBound: 1.25 })
    const loads = [0, 0, 0, 0, 0]
    for (let i = 0; i < 500; i++) {
      // One key wants one backend.
      const picked = bench.pick({ key: 'hot' })
      loads[picked]++
      bench.load(picked, loads[picked])
      expect(loads[picked]).toBeLessThanOrEqual(Math.ceil((1.25 * (i + 1)) / 5) + 1)
    }
    expect(bench.faults).toEqual([])
  })

  test('load bound and tries: a tried one is never taken while an untried one is left, though over the bound', async () => {
    const bench = await serviceBench(many(3), { algorithm, loadBound: 1.25 })
    bench.load(1, 100)
    bench.load(2, 100)
    for (let i = 0; i < 50; i++) expect(bench.pick({ key: `${i}` })).toBe(0)
    for (let i = 0; i < 50; i++) expect([1, 2]).toContain(bench.pick({ key: `${i}`, tried: [0] }))
    for (let i = 0; i < 50; i++) expect(bench.pick({ key: `${i}`, tried: [0, 1, 2] })).toBe(0)
    expect(bench.faults).toEqual([])
  })

  test('when the view is exhausted the reserve is asked: the next tier before the one after, then those tried', async () => {
    const members = [...many(2), ...many(1, { priority: 1 }), ...many(1, { priority: 2 })]
    const bench = await serviceBench(members, { algorithm })
    expect(bench.pick({ tried: [0, 1] })).toBe(2)
    expect(bench.pick({ tried: [0, 1, 2] })).toBe(3)
    expect([0, 1]).toContain(bench.pick({ tried: [0, 1, 2, 3] }))
    bench.refuse(0, 1)
    expect(bench.pick()).toBe(2)
    bench.fill(2)
    expect(bench.pick()).toBe(3)
    bench.down(3)
    expect([bench.pick(), bench.service.sawFull]).toEqual([-1, true])
    expect(bench.faults).toEqual([])
  })

  test('panic: all of them, whatever tier, zone and slow start say', async () => {
    const members = [{ zone: 'a' }, { zone: 'b' }, { zone: 'b' }, ...many(3, { zone: 'b', priority: 1 })]
    const bench = await serviceBench(members, { algorithm, slowStart: '30s' }, 'a')
    bench.down(0, 1, 2, 3, 4, 5)
    const counts = bench.counts(6000, keys)
    expect(Math.min(...counts)).toBeGreaterThan(400)
    bench.up(5)
    expect(Math.min(...bench.counts(6000, keys))).toBeGreaterThan(400)
    expect(bench.faults).toEqual([])
  })

  test('a preferred backend is taken whatever its load, slow start, zone and tier, but not when it is down', async () => {
    const members = [...many(2, { zone: 'a' }), { zone: 'b' }, { priority: 3 }]
    const bench = await serviceBench(members, { algorithm, loadBound: 1.25, slowStart: '30s' }, 'a')
    bench.load(1, 50)
    for (const preferred of [1, 2, 3]) expect(bench.pick({ preferred })).toBe(preferred)
    bench.down(1, 3)
    expect(bench.pick({ preferred: 1 })).not.toBe(1)
    expect(bench.pick({ preferred: 3 })).not.toBe(3)
    bench.up(1)
    for (let i = 0; i < 20; i++) expect(bench.pick({ preferred: 1 })).toBe(1)
    expect(bench.pick({ preferred: 1, tried: [1] })).not.toBe(1)
    bench.refuse(1)
    expect(bench.pick({ preferred: 1 })).not.toBe(1)
  })
})

test.each(
  others.filter((name) => name !== 'round-robin'),
)('%s: slow start scales the weights (χ²)', async (algorithm) => {
  const weights = [1, 2, 3, 4]
  const bench = await serviceBench(
    weights.map((weight) => ({ weight })),
    { algorithm, slowStart: { window: '40s', minimum: '25%' } },
  )
  bench.down(3)
  bench.pick()
  bench.up(3)
  bench.pick()
  expect(chiSquare(bench.counts(20_000), [1, 2, 3, 1])).toBeLessThan(chiSquareLimit(3))
  bench.clock.advance(20_000)
  expect(chiSquare(bench.counts(20_000), [1, 2, 3, 2])).toBeLessThan(chiSquareLimit(3))
})

test('round-robin, which ignores weights, is thinned instead (χ²)', async () => {
  const bench = await serviceBench(many(4), {
    algorithm: 'round-robin',
    slowStart: { window: '40s', minimum: '25%' },
  })
  bench.down(3)
  bench.pick()
  bench.up(3)
  bench.pick()
  expectShares(bench.counts(20_000), [4, 4, 4, 1], 0.02)
})

test.each(
  hashing,
)('%s: keys come home one after the other, and none moves between the others', async (algorithm) => {
  const bench = await serviceBench(many(5), { algorithm, slowStart: '30s' })
  const places = () => Array.from({ length: 2000 }, (_, index) => bench.pick(keys(index)))
  const home = places()
  bench.down(2)
  bench.pick()
  bench.up(2)
  let returned = -1
  for (let second = 0; second <= 30; second += 5) {
    const now = places()
    expect(now).toEqual(places())
    now.forEach((place, index) => {
      if (home[index] !== 2) expect(place).toBe(home[index])
    })
    const count = now.filter((place) => place === 2).length
    expect(count).toBeGreaterThanOrEqual(returned)
    returned = count
    bench.clock.advance(5000)
  }
  expect(places()).toEqual(home)
})

test('a backend that a reload adds ramps up; those of a service that begins do not', async () => {
  const bench = await serviceBench(many(3), { algorithm: 'random', slowStart: '30s' })
  expect(bench.backends.map(({ effectiveWeight }) => effectiveWeight)).toEqual([1, 1, 1])
  bench.backends[2].servesSinceMs = Number.NaN
  bench.service.refresh()
  expect(bench.backends.map(({ effectiveWeight }) => effectiveWeight)).toEqual([1, 1, 0.1])
})

test('who is asked before its thread has come to it makes its view then, and only then', async () => {
  const bench = await serviceBench(many(3), { algorithm: 'least-connections', slowStart: '30s' })
  const { service } = bench
  const seen: unknown[] = []
  const { algorithm } = service
  const next = bench.makeNext()
  algorithm.update = (view) => void seen.push(view.available.map((backend) => view.weight(backend)))
  algorithm.settled = (backend) => void seen.push(backend.url)
  next.succeed(service)
  next.begin(true)
  service.settled(bench.backends[1], 'success', 1)
  expect(seen).toEqual([[1, 1, 1], bench.backends[1].url])
  next.settleIn()
  service.settleIn()
  expect(seen).toHaveLength(2)
})

test('who holds an old version of a service holds the newest, and none between', async () => {
  const bench = await serviceBench(many(3))
  const first = bench.service
  const succeed = (former: ServiceRuntime): ServiceRuntime => {
    const next = bench.makeNext()
    next.succeed(former)
    next.begin(false)
    return next
  }
  let newest = succeed(first)
  const between = new WeakRef(newest)
  newest = succeed(newest)
  await nextTurn()
  collect()
  expect(between.deref()).toBeUndefined()
  const seen: string[] = []
  newest.algorithm.settled = (backend) => void seen.push(backend.url)
  first.settled(bench.backends[1], 'success', 1)
  expect(seen).toEqual([bench.backends[1].url])
})

test('a service whose backends stand still makes no view anew', async () => {
  const bench = await serviceBench(many(3), { algorithm: 'random', slowStart: '30s' })
  let updates = 0
  const { algorithm } = bench.service
  bench.service.algorithm = {
    pick: (request) => algorithm.pick(request),
    update: (view) => {
      updates++
      algorithm.update(view)
    },
  }
  const run = () => {
    for (let second = 0; second < 40; second++) {
      bench.clock.advance(1000)
      bench.counts(5)
    }
  }
  run()
  expect(updates).toBe(0)
  bench.down(0)
  bench.pick()
  bench.up(0)
  run()
  // Down, up, and a step for each second of the ramp.
  expect(updates).toBeGreaterThan(25)
  expect(updates).toBeLessThan(35)
})
