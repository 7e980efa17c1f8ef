import { describe, expect, test } from 'vitest'
import { type Candidate, keepChances, rampAt, rampStepMs, sharesOf } from '../../core/proxy/shares.ts'

const up = (part: Partial<Candidate> = {}): Candidate => ({
  weight: 1,
  zone: '',
  priority: 0,
  usable: true,
  healthy: true,
  ramp: 1,
  ...part,
})
const down = (part: Partial<Candidate> = {}): Candidate => up({ ...part, healthy: false })
const out = (part: Partial<Candidate> = {}): Candidate => down({ ...part, usable: false })
const times = (count: number, candidate: Candidate): Candidate[] => Array(count).fill(candidate)

/** What share of the exchanges each group gets by effective weight, in percent; groups are named by the caller. */
function percent(
  candidates: readonly Candidate[],
  groupOf: (candidate: Candidate) => string | number,
  ownZone = '',
): Record<string, number> {
  const { factors } = sharesOf(candidates, { panicThreshold: 0.5, ownZone })
  const total = candidates.reduce((sum, { weight }, i) => sum + weight * factors[i], 0)
  const shares: Record<string, number> = {}
  candidates.forEach((candidate, i) => {
    const group = groupOf(candidate)
    shares[group] = (shares[group] ?? 0) + (100 * candidate.weight * factors[i]) / total
  })
  return Object.fromEntries(Object.entries(shares).map(([group, share]) => [group, Math.round(share)]))
}

const byTier = ({ priority }: Candidate): number => priority
const byZone = ({ zone }: Candidate): string => zone

describe('priority tiers', () => {
  // Envoy's own table: docs, "Priority levels", two levels with P=1 wholly healthy.
  test.each([
    [100, 100, 0],
    [72, 100, 0],
    [71, 99, 1],
    [50, 70, 30],
    [25, 35, 65],
    [0, 0, 100],
  ])('with %i %% of the first tier healthy it gets %i %%, the second %i %%', (healthy, first, second) => {
    const tiers = [
      ...times(healthy, up()),
      ...times(100 - healthy, down()),
      ...times(100, up({ priority: 1 })),
    ]
    expect(percent(tiers, byTier)).toEqual({ 0: first, 1: second })
  })

  test('tiers that cannot carry everything together get it in proportion to what they can', () => {
    // 25 % and 25 %: 35 and 35 of 100 → 50 and 50; with a threshold that does not panic.
    const tier = (priority: number) => [up({ priority }), ...times(3, down({ priority }))]
    const { factors, panic } = sharesOf([...tier(0), ...tier(1)], { panicThreshold: 0.2, ownZone: '' })
    expect(panic).toBe(false)
    expect([...factors]).toEqual([1, 0, 0, 0, 1, 0, 0, 0])
  })

  test('weights count, not heads; numbers need not be consecutive', () => {
    const tiers = [up({ weight: 5 }), down({ weight: 5 }), up({ priority: 7 }), up({ priority: 9 })]
    expect(percent(tiers, byTier)).toEqual({ 0: 70, 7: 30, 9: 0 })
  })

  test('a lone tier of whatever number is the first', () => {
    expect(percent(times(3, up({ priority: 4 })), byTier)).toEqual({ 4: 100 })
  })

  test('what an operator has taken out is lacking in its tier', () => {
    expect(percent([up(), ...times(3, out()), ...times(4, up({ priority: 1 }))], byTier)).toEqual({
      0: 35,
      1: 65,
    })
  })

  test('a tier that comes back slowly takes its exchanges back slowly', () => {
    const tiers = [...times(2, up({ ramp: 0.1 })), ...times(2, up({ priority: 1 }))]
    expect(percent(tiers, byTier)).toEqual({ 0: 14, 1: 86 })
  })
})

describe('panic', () => {
  const rules = { panicThreshold: 0.5, ownZone: '' }

  test('a lone tier panics under the threshold, not at it, and then all are equal', () => {
    expect(sharesOf([up(), down()], rules).panic).toBe(false)
    const { panic, factors } = sharesOf([up({ ramp: 0.1 }), down(), down()], rules)
    expect([panic, [...factors]]).toEqual([true, [1, 1, 1]])
  })

  test('a dead first tier is no reason while the next one carries everything', () => {
    const { panic, factors } = sharesOf([...times(10, down()), up({ priority: 1 })], rules)
    expect([panic, factors[10], factors[0]]).toEqual([false, 1, 0])
  })

  test('nor are two weak tiers that carry everything together; as soon as they do not, all of both are used', () => {
    const tier = (priority: number, healthy: number) => [
      ...times(healthy, up({ priority })),
      ...times(10 - healthy, down({ priority })),
    ]
    expect(sharesOf([...tier(0, 4), ...tier(1, 4)], rules).panic).toBe(false)
    const { panic, factors } = sharesOf([...tier(0, 3), ...tier(1, 4)], rules)
    expect(panic).toBe(true)
    expect(new Set(factors)).toEqual(new Set([1]))
  })

  test('a threshold of 0 never panics; nobody healthy is then nobody', () => {
    const { panic, factors } = sharesOf(times(3, down()), { panicThreshold: 0, ownZone: '' })
    expect([panic, [...factors]]).toEqual([false, [0, 0, 0]])
  })

  test('what an operator has taken out neither makes a panic nor is used in one', () => {
    expect(sharesOf([up(), ...times(3, out())], rules).panic).toBe(false)
    const { panic, factors } = sharesOf([...times(2, down()), out(), out({ priority: 1 })], rules)
    expect([panic, [...factors]]).toEqual([true, [1, 1, 0, 0]])
  })

  test('ignores zones', () => {
    const candidates = [up({ zone: 'a' }), down({ zone: 'a' }), ...times(3, down({ zone: 'b' }))]
    expect(sharesOf(candidates, { panicThreshold: 0.5, ownZone: 'a' })).toMatchObject({ panic: true })
  })

  test('no candidates are no panic', () => {
    expect(sharesOf([], rules)).toEqual({ panic: false, factors: new Float64Array(0) })
  })
})

describe('zones', () => {
  const zone = (name: string, healthy: number, of = healthy): Candidate[] => [
    ...times(healthy, up({ zone: name })),
    ...times(of - healthy, down({ zone: name })),
  ]

  test('the own zone gets everything while it has its part of the capacity', () => {
    expect(percent([...zone('a', 4), ...zone('b', 4)], byZone, 'a')).toEqual({ a: 100, b: 0 })
    expect(percent([...zone('a', 4), ...zone('b', 3, 4)], byZone, 'a')).toEqual({ a: 100, b: 0 })
  })

  test('with less it keeps what makes all backends equally busy', () => {
    // 2 of 6 in two zones: a keeps 2 × 2/6; the nodes of b send nothing here, so each backend has 1/3 of a zone's traffic.
    expect(percent([...zone('a', 2, 4), ...zone('b', 4)], byZone, 'a')).toEqual({ a: 67, b: 33 })
  })

  test('the rest goes to the zones that have more than they need', () => {
    const zones = [...zone('a', 2), ...zone('b', 3), ...zone('c', 4)]
    expect(percent(zones, byZone, 'a')).toEqual({ a: 67, b: 0, c: 33 })
  })

  test('over all nodes together every backend is equally busy', () => {
    const zones = [...zone('a', 1), ...zone('b', 3), ...zone('c', 8)]
    const load = { a: 0, b: 0, c: 0 } as Record<string, number>
    for (const own of ['a', 'b', 'c'])
      for (const [name, share] of Object.entries(percent(zones, byZone, own))) load[name] += share
    expect(load).toEqual({ a: 25, b: 75, c: 200 })
  })

  test('a zone without anyone left, or that nobody has, is no preference', () => {
    const zones = [...zone('a', 0, 2), ...zone('b', 2), ...zone('c', 2)]
    expect(percent(zones, byZone, 'a')).toEqual({ a: 0, b: 50, c: 50 })
    expect(percent(zones, byZone, 'elsewhere')).toEqual({ a: 0, b: 50, c: 50 })
  })

  test('each tier is divided by itself', () => {
    const tiers = [
      ...zone('a', 1, 2),
      ...zone('b', 1, 2),
      ...zone('a', 2).map((candidate) => ({ ...candidate, priority: 1 })),
      ...zone('b', 2).map((candidate) => ({ ...candidate, priority: 1 })),
    ]
    const group = ({ priority, zone }: Candidate) => `${priority}${zone}`
    expect(percent(tiers, group, 'a')).toEqual({ '0a': 70, '0b': 0, '1a': 30, '1b': 0 })
  })
})

describe('slow start', () => {
  const settings = { windowMs: 30_000, aggression: 1, minimum: 0.1 }

  test('is the formula of Envoy', () => {
    expect([0, 3000, 15_000, 29_999, 30_000].map((ms) => rampAt(ms, settings))).toEqual([
      0.1,
      0.1,
      0.5,
      29_999 / 30_000,
      1,
    ])
    expect(rampAt(7500, { ...settings, aggression: 2 })).toBeCloseTo(0.5)
    expect(rampAt(Number.POSITIVE_INFINITY, settings)).toBe(1)
  })

  test('scales the weight', () => {
    const { factors } = sharesOf([up({ weight: 10 }), up({ weight: 10, ramp: 0.3 })], {
      panicThreshold: 0.5,
      ownZone: '',
    })
    expect([factors[0], factors[1].toFixed(9)]).toEqual([1, '0.300000000'])
  })

  test('where all begin together nobody is held back', () => {
    const { factors } = sharesOf(times(3, up({ ramp: 0.1 })), { panicThreshold: 0.5, ownZone: '' })
    expect([...factors]).toEqual([1, 1, 1])
  })

  test('steps are coarse', () => {
    expect([100, 3000, 30_000, 600_000].map(rampStepMs)).toEqual([50, 100, 1000, 1000])
  })
})

test('what is kept of an even choice comes to the shares, whatever weights and factors', () => {
  const weights = [1, 2, 3, 4, 5]
  const factors = Float64Array.of(0.1, 1, 0, 0.5, 0.5)
  const chances = keepChances(weights, factors)
  const shares = weights.map(() => 0)
  const draws = 10_000
  for (let draw = 0; draw < draws; draw++) {
    const kept = weights.map((weight, i) => ((draw + 0.5) / draws < chances[i] ? weight : 0))
    const sum = kept.reduce((total, weight) => total + weight, 0)
    for (const [i, weight] of kept.entries()) shares[i] += weight / sum / draws
  }
  const whole = weights.reduce((sum, weight, i) => sum + weight * factors[i], 0)
  for (const i of weights.keys()) expect(shares[i]).toBeCloseTo((weights[i] * factors[i]) / whole, 3)
})
