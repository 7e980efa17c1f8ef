import type { Algorithm, Backend, BackendView } from 'millrace'
import { describe, expect, test } from 'vitest'
import { threadContext } from '../fake-context.ts'
import { FakeRequest, FakeView, fakeBackends, numbered } from '../fake-view.ts'
import { algorithm } from '../make.ts'
import { chiSquare, chiSquareLimit } from '../statistics.ts'

const weightsOf = (backends: readonly Backend[]): number[] => backends.map(({ weight }) => weight)

function countPicks(
  instance: Algorithm,
  backends: readonly Backend[],
  picks: number,
  request = new FakeRequest(),
): number[] {
  const counts = new Map(backends.map((backend) => [backend, 0]))
  for (let i = 0; i < picks; i++) {
    const picked = instance.pick(request)
    if (picked) counts.set(picked, (counts.get(picked) ?? 0) + 1)
  }
  return [...counts.values()]
}

async function made(name: string, view: BackendView, seed = 1): Promise<Algorithm> {
  const instance = await algorithm(name, {}, threadContext({ seed }))
  instance.update(view)
  return instance
}

describe('round-robin', () => {
  test('gives each exactly its turn', async () => {
    const all = numbered(7)
    expect(countPicks(await made('round-robin', new FakeView(all)), all, 700)).toEqual(Array(7).fill(100))
  })

  test('an excluded backend does not hand its turns to one neighbour', async () => {
    const all = numbered(4)
    const request = new FakeRequest().without(all[1])
    const counts = countPicks(await made('round-robin', new FakeView(all)), all, 300, request)
    expect(counts).toEqual([100, 0, 100, 100])
  })

  test('goes on where it was after an update', async () => {
    const all = numbered(5)
    const instance = await made('round-robin', new FakeView(all))
    const before = [instance.pick(new FakeRequest()), instance.pick(new FakeRequest())]
    instance.update(new FakeView(all))
    const after = [0, 1, 2].map(() => instance.pick(new FakeRequest()))
    expect(new Set([...before, ...after]).size).toBe(5)
  })

  test('gives less to those that are to get less, whatever their configured weights, to within a turn', async () => {
    const all = numbered(4, (index) => (index === 0 ? 5 : 1))
    const view = new FakeView(all)
    for (const backend of all) view.effective.set(backend, backend.weight * (backend === all[0] ? 1 : 3 / 14))
    const instance = await made('round-robin', view)
    const uneven = countPicks(instance, all, 460)
    for (const [index, share] of [280, 60, 60, 60].entries())
      expect(Math.abs(uneven[index] - share)).toBeLessThanOrEqual(1)
    instance.update(new FakeView(all))
    expect(countPicks(instance, all, 400)).toEqual([100, 100, 100, 100])
  })

  test('threads do not start at the same backend', async () => {
    const all = numbered(16)
    const firsts = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (seed) =>
        (await made('round-robin', new FakeView(all), seed)).pick(new FakeRequest()),
      ),
    )
    expect(new Set(firsts).size).toBeGreaterThan(2)
  })
})

describe('weighted-round-robin', () => {
  test('gives each exactly its share, and never more than a turn too much on the way', async () => {
    const all = numbered(5, (index) => [1, 2, 3, 5, 13][index])
    const instance = await made('weighted-round-robin', new FakeView(all))
    const counts = new Map(all.map((backend) => [backend, 0]))
    for (let picks = 1; picks <= 24 * 40; picks++) {
      const picked = instance.pick(new FakeRequest()) as Backend
      counts.set(picked, (counts.get(picked) ?? 0) + 1)
      for (const [backend, count] of counts) {
        expect(Math.abs(count - (picks * backend.weight) / 24)).toBeLessThan(2)
      }
    }
    expect([...counts.values()]).toEqual([40, 80, 120, 200, 520])
  })

  test('spreads a heavy backend between light ones', async () => {
    const all = fakeBackends([
      { name: 'a', weight: 4 },
      { name: 'b', weight: 2 },
      { name: 'c', weight: 2 },
    ])
    const instance = await made('weighted-round-robin', new FakeView(all))
    const order = Array.from({ length: 800 }, () => instance.pick(new FakeRequest()))
    const longest = order.reduce<[number, number]>(
      ([run, best], backend) => (backend === all[0] ? [run + 1, Math.max(best, run + 1)] : [0, best]),
      [0, 0],
    )[1]
    expect(longest).toBeLessThanOrEqual(2)
  })

  test('shares the turns of an excluded backend by weight, and it returns without a burst', async () => {
    const all = numbered(4, (index) => [10, 1, 2, 3][index])
    const instance = await made('weighted-round-robin', new FakeView(all))
    const without = countPicks(instance, all, 600, new FakeRequest().without(all[0]))
    expect(without[0]).toBe(0)
    for (const [index, share] of [
      [1, 100],
      [2, 200],
      [3, 300],
    ]) {
      expect(Math.abs(without[index] - share)).toBeLessThanOrEqual(2)
    }
    const back = countPicks(instance, all, 160)
    for (const [index, weight] of [10, 1, 2, 3].entries()) {
      expect(Math.abs(back[index] - weight * 10)).toBeLessThanOrEqual(2)
    }
  })

  test('shares stay exact while updates come between the picks', async () => {
    const all = numbered(3, (index) => index + 1)
    const instance = await made('weighted-round-robin', new FakeView(all))
    const counts = [0, 0, 0]
    for (let i = 0; i < 600; i++) {
      instance.update(new FakeView(all))
      counts[(instance.pick(new FakeRequest()) as Backend).slot]++
    }
    for (const index of [0, 1, 2]) expect(Math.abs(counts[index] - 100 * (index + 1))).toBeLessThanOrEqual(1)
  })

  test('follows effective weights, fractions too', async () => {
    const all = numbered(2)
    const view = new FakeView(all)
    view.effective.set(all[0], 0.1).set(all[1], 0.9)
    expect(countPicks(await made('weighted-round-robin', view), all, 1000)[0]).toBeCloseTo(100, -1)
  })

  test('a weight of a million beside weights of one keeps the shares', async () => {
    const all = numbered(3, (index) => (index === 0 ? 1_000_000 : 1))
    const counts = countPicks(await made('weighted-round-robin', new FakeView(all)), all, 2_000_004)
    expect(counts[1]).toBeGreaterThanOrEqual(1)
    expect(counts[1]).toBeLessThanOrEqual(3)
  })
})

describe('random', () => {
  test.each([1, 2, 3])('shares follow the weights (χ², seed %i)', async (seed) => {
    const all = numbered(12, (index) => 1 + (index % 5))
    const counts = countPicks(await made('random', new FakeView(all), seed), all, 60_000)
    expect(chiSquare(counts, weightsOf(all))).toBeLessThan(chiSquareLimit(11))
  })

  test.each([1, 2])('so do they among those that are not excluded, few or many (seed %i)', async (seed) => {
    const all = numbered(40, (index) => 1 + (index % 5))
    for (const left of [3, 30]) {
      const request = new FakeRequest().without(...all.slice(left))
      const counts = countPicks(await made('random', new FakeView(all), seed), all, 30_000, request).slice(
        0,
        left,
      )
      expect(chiSquare(counts, weightsOf(all.slice(0, left)))).toBeLessThan(chiSquareLimit(left - 1))
    }
  })

  test('equal weights are drawn evenly', async () => {
    const all = numbered(10)
    const counts = countPicks(await made('random', new FakeView(all)), all, 50_000)
    expect(chiSquare(counts, weightsOf(all))).toBeLessThan(chiSquareLimit(9))
  })
})

describe('least-connections', () => {
  test('picks the fewest in flight per weight', async () => {
    const all = numbered(3, (index) => [1, 2, 4][index])
    const view = new FakeView(all)
    view.load.set(all[0], 2).set(all[1], 3).set(all[2], 7)
    expect((await made('least-connections', view)).pick(new FakeRequest())).toBe(all[1])
  })

  test('idle equal backends share evenly', async () => {
    const all = numbered(6)
    expect(countPicks(await made('least-connections', new FakeView(all)), all, 600)).toEqual(
      Array(6).fill(100),
    )
  })

  test('backends that tie share evenly beside one that does not', async () => {
    const all = numbered(4)
    const view = new FakeView(all)
    view.load.set(all[1], 1)
    expect(countPicks(await made('least-connections', view), all, 300)).toEqual([100, 0, 100, 100])
  })

  test('idle backends share by weight', async () => {
    const all = numbered(3, (index) => [1, 3, 6][index])
    const counts = countPicks(await made('least-connections', new FakeView(all)), all, 1000)
    for (const [index, share] of [100, 300, 600].entries()) {
      expect(Math.abs(counts[index] - share)).toBeLessThanOrEqual(2)
    }
  })

  test('keeps loads level per weight while exchanges come and stay', async () => {
    const all = numbered(8, (index) => 1 + (index % 2))
    const view = new FakeView(all)
    const instance = await made('least-connections', view)
    for (let i = 0; i < 1200; i++) {
      const picked = instance.pick(new FakeRequest()) as Backend
      view.load.set(picked, view.inFlight(picked) + 1)
    }
    for (const backend of all)
      expect(Math.abs(view.inFlight(backend) - 100 * backend.weight)).toBeLessThanOrEqual(2)
  })

  test('beyond 16 backends it looks at a few and still avoids the loaded ones', async () => {
    const all = numbered(200)
    const view = new FakeView(all)
    for (const backend of all.slice(0, 100)) view.load.set(backend, 10)
    const request = new FakeRequest()
    const counts = countPicks(await made('least-connections', view), all, 2000, request)
    const onLoaded = counts.slice(0, 100).reduce((sum, count) => sum + count, 0)
    // Three draws are all loaded once in 8 picks; then there is the best of the pick before.
    expect(onLoaded).toBeLessThan(40)
    expect(request.asked / 2000).toBeLessThan(6)
  })

  test('beyond 16 backends idle ones share by weight (χ²)', async () => {
    const all = numbered(60, (index) => 1 + (index % 3))
    const counts = countPicks(await made('least-connections', new FakeView(all)), all, 60_000)
    expect(chiSquare(counts, weightsOf(all))).toBeLessThan(chiSquareLimit(59))
  })

  test('beyond 16 backends loads stay nearer the mean than two choices keep them', async () => {
    const all = numbered(200)
    const fullest = async (name: string): Promise<number> => {
      const view = new FakeView(all)
      const instance = await made(name, view)
      for (let i = 0; i < 20_000; i++) {
        const picked = instance.pick(new FakeRequest()) as Backend
        view.load.set(picked, view.inFlight(picked) + 1)
      }
      return Math.max(...view.load.values())
    }
    const sampled = await fullest('least-connections')
    expect(sampled).toBeLessThanOrEqual(102)
    expect(sampled).toBeLessThanOrEqual(await fullest('power-of-two-choices'))
  })
})

describe('power-of-two-choices', () => {
  test('idle backends share by weight (χ²)', async () => {
    const all = numbered(10, (index) => 1 + (index % 3))
    const counts = countPicks(await made('power-of-two-choices', new FakeView(all)), all, 50_000)
    expect(chiSquare(counts, weightsOf(all))).toBeLessThan(chiSquareLimit(9))
  })

  test('of two backends it takes the less loaded one', async () => {
    const all = numbered(2)
    const view = new FakeView(all)
    view.load.set(all[0], 5).set(all[1], 4)
    expect(countPicks(await made('power-of-two-choices', view), all, 1000)).toEqual([0, 1000])
  })

  test('the fullest backend stays near the mean, where random choice would not', async () => {
    const all = numbered(50)
    const fullest = async (name: string): Promise<number> => {
      const view = new FakeView(all)
      const instance = await made(name, view)
      for (let i = 0; i < 5000; i++) {
        const picked = instance.pick(new FakeRequest()) as Backend
        view.load.set(picked, view.inFlight(picked) + 1)
      }
      return Math.max(...view.load.values())
    }
    expect(await fullest('power-of-two-choices')).toBeLessThanOrEqual(105)
    expect(await fullest('random')).toBeGreaterThan(110)
  })
})
