import { describe, expect, test } from 'vitest'
import { blockOrder, compareBlocks } from '../../bench/stats/blocks.ts'
import {
  bootstrapMedian,
  fewestBlocks,
  minimumDetectable,
  normalQuantile,
} from '../../bench/stats/bootstrap.ts'
import { seededRandom } from '../../bench/stats/random.ts'

/** Standard normal values (Box, Muller 1958). */
function normals(count: number, random: () => number): number[] {
  return Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  )
}

const numbered = (values: readonly number[]): Map<number, number> =>
  new Map(values.map((value, index) => [index + 1, value]))

describe('bootstrap of a median', () => {
  test.each([
    [0.95, 1000],
    [0.99, 1000],
    [1 - 0.01 / 7, 2000],
  ])('an interval of %d misses the true median no more often than it says, nor never', (confidence, runs) => {
    const random = seededRandom(5)
    let missed = 0
    for (let run = 0; run < runs; run++) {
      const { low, high } = bootstrapMedian(normals(12, random), { confidence, random, resamples: 200 })
      if (low > 0 || high < 0) missed++
    }
    const expected = (1 - confidence) * runs
    expect(missed).toBeLessThanOrEqual(expected + 2 * Math.sqrt(expected))
    if (expected > 5) expect(missed).toBeGreaterThan(0)
  })

  test('it reaches at least from the second to the last but one of 12 values, and over all where they are too few', () => {
    const random = seededRandom(2)
    const twelve = [5, 3, 11, 1, 7, 2, 12, 9, 4, 10, 6, 8]
    const { low, high } = bootstrapMedian(twelve, { confidence: 0.99, random })
    expect(low).toBeLessThanOrEqual(2)
    expect(high).toBeGreaterThanOrEqual(11)
    expect(bootstrapMedian([3, 1, 2], { confidence: 0.99, random })).toMatchObject({ low: 1, high: 3 })
    expect(bootstrapMedian([4], { confidence: 0.99, random })).toMatchObject({ low: 4, high: 4, median: 4 })
  })

  test('more blocks make it narrower, and the standard error smaller', () => {
    const random = seededRandom(6)
    const few = bootstrapMedian(normals(8, random), { confidence: 0.99, random })
    const many = bootstrapMedian(normals(200, random), { confidence: 0.99, random })
    expect(many.high - many.low).toBeLessThan((few.high - few.low) / 2)
    expect(many.standardError).toBeLessThan(few.standardError)
  })

  test('the same seed gives the same interval', () => {
    const values = normals(10, seededRandom(7))
    const once = bootstrapMedian(values, { confidence: 0.99, random: seededRandom(1) })
    expect(bootstrapMedian(values, { confidence: 0.99, random: seededRandom(1) })).toEqual(once)
  })

  test('without values there is nothing to say', () => {
    expect(() => bootstrapMedian([], { confidence: 0.99, random: Math.random })).toThrow('no values')
  })
})

test.each([
  [0.99, 8],
  [0.95, 6],
])('an interval of %d needs %d blocks', (confidence, blocks) => {
  expect(fewestBlocks(confidence)).toBe(blocks)
})

test.each([
  [0.975, 1.95996],
  [0.995, 2.57583],
])('quantile %d of the normal distribution is %d', (p, z) => {
  expect(normalQuantile(p)).toBeCloseTo(z, 3)
})

test('the detectable difference is what both errors leave', () => {
  expect(minimumDetectable(1, 0.99)).toBeCloseTo(2.576 + 0.842, 2)
})

describe('order of blocks', () => {
  test('every arm has one block in each round, and every second round is the one before backwards', () => {
    const turns = blockOrder(['a', 'b', 'c'], 4, seededRandom(3))
    const orders = [1, 2, 3, 4].map((round) =>
      turns.filter((turn) => turn.round === round).map(({ arm }) => arm),
    )
    for (const order of orders) expect(order.toSorted()).toEqual(['a', 'b', 'c'])
    expect(orders[1]).toEqual(orders[0].toReversed())
    expect(orders[3]).toEqual(orders[2].toReversed())
  })
})

describe('comparison of blocks', () => {
  const options = { confidence: 0.99, threshold: 0.05, lowerIsBetter: true, random: seededRandom(9) }
  const noisy = (mean: number, seed: number): Map<number, number> =>
    numbered(normals(16, seededRandom(seed)).map((value) => mean * (1 + value / 100)))

  test.each([
    ['worse', 1.2, true],
    ['better', 0.8, true],
    ['same', 1, true],
    ['better', 1.2, false],
    ['worse', 0.8, false],
  ])('%s: %d times the baseline, lower is better: %s', (outcome, factor, lowerIsBetter) => {
    const compared = compareBlocks(noisy(100 * factor, 1), noisy(100, 2), { ...options, lowerIsBetter })
    expect(compared).toMatchObject({ outcome })
    expect(compared?.relative.median).toBeCloseTo(factor - 1, 1)
  })

  test('noise of a tenth hides a difference of a twentieth', () => {
    const wide = (seed: number) => numbered(normals(10, seededRandom(seed)).map((value) => 100 + value * 10))
    expect(compareBlocks(wide(1), wide(2), options)?.outcome).toBe('unclear')
  })

  test('seven blocks are too few for 99 %, however clear they look', () => {
    const arm = numbered([2, 2, 2, 2, 2, 2, 2])
    expect(compareBlocks(arm, numbered([1, 1, 1, 1, 1, 1, 1]), options)?.outcome).toBe('unclear')
  })

  test('only rounds that have both are compared', () => {
    const compared = compareBlocks(new Map([[1, 2]]), new Map([[2, 1]]), options)
    expect(compared).toBeUndefined()
  })
})
