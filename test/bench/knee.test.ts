import { describe, expect, test } from 'vitest'
import { findKnee, kneeConnections, kneeLadder } from '../../bench/stats/knee.ts'
import { type ArmKnee, honestRate, resolveRate } from '../../bench/stats/rates.ts'

/** A server of `idleMs` that does at most `saturation` a second, without queueing below it: the two lines themselves. */
const asymptotes =
  (idleMs: number, saturation: number) =>
  (connections: number): number =>
    Math.min((connections / idleMs) * 1000, saturation)

const steps = (curve: (connections: number) => number) =>
  kneeLadder.map((connections) => ({ connections, requestsPerSecond: curve(connections) }))

describe('the knee', () => {
  test.each([
    [5, 10_000, 50],
    [5, 1_000, 5],
    [0.1, 40_000, 4],
    [10, 20_000, 200],
  ])('of a server of %d ms that does %d/s is at %d connections', async (idleMs, saturation, connections) => {
    const curve = asymptotes(idleMs, saturation)
    expect(kneeConnections(steps(curve))).toBe(connections)
    const knee = await findKnee(async (asked) => curve(asked))
    expect(knee).toMatchObject({ saturationPerSecond: saturation, kneeConnections: connections })
    expect(knee.kneePerSecond).toBeCloseTo(saturation)
  })

  test('is below the saturation where requests wait for each other before it', async () => {
    // The balanced system of operational analysis: X(N) = N / (R × (1 + N / N*)).
    const curve = (n: number) => n / (0.005 * (1 + n / 50))
    const knee = await findKnee(async (connections) => curve(connections))
    expect(knee.kneePerSecond).toBeLessThan(0.65 * knee.saturationPerSecond)
    expect(knee.kneePerSecond).toBeCloseTo(curve(knee.kneeConnections))
  })

  test('is measured, unless the ladder has it; the steps are all there in order', async () => {
    const asked: number[] = []
    const measure = (curve: (n: number) => number) => async (connections: number) => {
      asked.push(connections)
      return curve(connections)
    }
    const knee = await findKnee(measure(asymptotes(5, 10_000)))
    expect(asked.splice(0)).toEqual([1, 8, 64, 256, 50])
    expect(knee.steps.map(({ connections }) => connections)).toEqual([1, 8, 50, 64, 256])
    await findKnee(measure(asymptotes(1, 8_000)))
    expect(asked).toEqual([1, 8, 64, 256])
  })

  test('of an arm that falls when it is overloaded is where it was best', () => {
    const falling = (n: number) => (n > 64 ? 4_000 : asymptotes(5, 8_000)(n))
    expect(kneeConnections(steps(falling))).toBe(40)
  })

  test('leaves out steps in which requests failed, and needs one in which none did', async () => {
    const curve = asymptotes(5, 6_000)
    const knee = await findKnee(async (n) => (n === 256 ? undefined : curve(n)))
    expect(knee).toMatchObject({ kneeConnections: 30, saturationPerSecond: 6_000 })
    await expect(findKnee(async () => undefined)).rejects.toThrow('requests failed at 1, 8, 64, 256')
  })
})

describe('a rate', () => {
  const knee = (arm: string, kneePerSecond: number, saturationPerSecond = 1.2 * kneePerSecond): ArmKnee => ({
    ...{ arm, backendDelayMs: 5, steps: [], kneeConnections: 50 },
    ...{ kneePerSecond, saturationPerSecond },
  })
  const knees = [knee('direct', 20_000), knee('a', 9_001), knee('b', 12_000), knee('slow', 4_000)]

  test('is a share of the slowest knee, that of the backend alone left out', () => {
    expect(resolveRate(0.5, knees)).toMatchObject({
      arm: 'slow',
      wantedPerSecond: 2_000,
      kneePerSecond: 4_000,
    })
    expect(resolveRate(0.75, [knee('direct', 100), knee('a', 1_000)]).wantedPerSecond).toBe(750)
  })

  test('may be that of some arms only', () => {
    expect(resolveRate(0.5, knees, ['a', 'b'])).toMatchObject({ arm: 'a', wantedPerSecond: 4_500 })
  })

  test('says when the knee is that of the rig', () => {
    expect(resolveRate(0.5, knees, ['a']).ofRig).toBe(false)
    expect(resolveRate(0.5, [knee('direct', 9_500), knee('a', 9_001)]).ofRig).toBe(true)
  })

  test('needs a knee', () => {
    expect(() => resolveRate(0.5, knees, ['c'])).toThrow(/of c none was measured/)
    expect(() => resolveRate(0.5, [knee('direct', 1)])).toThrow(/of no proxy none/)
  })

  test('that the load generator can give twice stays', async () => {
    expect(await honestRate(5_000, async () => [])).toEqual({ ratePerSecond: 5_000, lowered: undefined })
  })

  test.each([
    ['one of three was disturbed', [true, false, true], 5_000],
    ['the first one was', [false, true, true], 5_000],
    ['only one was good', [false, true, false], 4_000],
  ])('is what most blocks say: %s', async (_, goodOnes, ratePerSecond) => {
    const outcomes = [...goodOnes]
    const found = await honestRate(5_000, async () => ((outcomes.shift() ?? true) ? [] : ['late']))
    expect(found.ratePerSecond).toBe(ratePerSecond)
    expect(outcomes).toEqual([])
  })

  test('is lowered by fifths until a block counts, and tells the last reason', async () => {
    const asked: number[] = []
    const found = await honestRate(5_000, async (rate) => {
      asked.push(rate)
      return rate > 6_600 ? [`late at ${rate}`] : []
    })
    expect([...new Set(asked)]).toEqual([10_000, 8_000, 6_400])
    expect(found).toEqual({
      ratePerSecond: 3_200,
      lowered: 'at 2 times 4000 requests/s to the backend alone late at 8000',
    })
  })

  test('that can never be given is an error, not a figure', async () => {
    await expect(honestRate(5_000, async () => ['late'])).rejects.toThrow(/no honest rate: .* late/)
  })
})
