import type { Algorithm, Backend } from 'millrace'
import { describe, expect, test } from 'vitest'
import { FakeTime, threadContext } from '../fake-context.ts'
import { FakeRequest, FakeView, numbered } from '../fake-view.ts'
import { algorithm } from '../make.ts'
import { chiSquare, chiSquareLimit } from '../statistics.ts'

interface Bench {
  readonly all: readonly Backend[]
  readonly view: FakeView
  readonly time: FakeTime
  readonly instance: Algorithm
  /** How many of so many picks go to each. */
  counts(picks: number): number[]
  /** Another thread of the same process. */
  thread(origin: number): Promise<Algorithm>
}

async function bench(count: number, weight?: (index: number) => number): Promise<Bench> {
  const all = numbered(count, weight)
  const view = new FakeView(all)
  const time = new FakeTime()
  const memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  const thread = async (origin: number): Promise<Algorithm> => {
    const instance = await algorithm('peak-ewma', {}, threadContext({ clock: time.clock(origin), memory }))
    instance.update(view)
    return instance
  }
  const instance = await thread(0)
  return { all, view, time, instance, thread, counts: (picks) => countPicks(instance, all, picks) }
}

function countPicks(instance: Algorithm, all: readonly Backend[], picks: number): number[] {
  const counts = all.map(() => 0)
  const request = new FakeRequest()
  for (let i = 0; i < picks; i++) counts[(instance.pick(request) as Backend).slot]++
  return counts
}

describe('peak-ewma', () => {
  test('of two idle backends the faster one is taken', async () => {
    const { all, instance, counts } = await bench(2)
    instance.settled?.(all[0], 'success', 20)
    instance.settled?.(all[1], 'success', 5)
    expect(counts(100)).toEqual([0, 100])
  })

  test('what is in flight outweighs speed in proportion', async () => {
    const { all, instance, view, counts } = await bench(2)
    instance.settled?.(all[0], 'success', 20)
    instance.settled?.(all[1], 'success', 5)
    // 20 × 1 against 5 × (n + 1).
    view.load.set(all[1], 2)
    expect(counts(10)).toEqual([0, 10])
    view.load.set(all[1], 4)
    expect(counts(10)).toEqual([10, 0])
  })

  test('a peak counts at once, and is forgotten by e every 10 s', async () => {
    const { all, instance, time, counts } = await bench(2)
    for (const backend of all) instance.settled?.(backend, 'success', 10)
    instance.settled?.(all[0], 'success', 1000)
    expect(counts(10)).toEqual([0, 10])
    // A good answer right afterwards hardly helps.
    instance.settled?.(all[0], 'success', 10)
    expect(counts(10)).toEqual([0, 10])
    // 1000 × e^(-t/10) comes under 10 after 46 s; the other one's average is kept fresh.
    time.advance(45_000)
    instance.settled?.(all[1], 'success', 10)
    expect(counts(10)).toEqual([0, 10])
    time.advance(2_000)
    instance.settled?.(all[1], 'success', 10)
    expect(counts(10)).toEqual([10, 0])
  })

  test('after one decay a good answer weighs 1 - 1/e', async () => {
    const { all, instance, time, view, counts } = await bench(2)
    for (const backend of all) instance.settled?.(backend, 'success', 100)
    time.advance(10_000)
    instance.settled?.(all[0], 'success', 0)
    instance.settled?.(all[1], 'success', 100)
    // 36.8 against 100: up to 1 in flight it is cheaper, with 2 it is not.
    view.load.set(all[0], 1)
    expect(counts(10)).toEqual([10, 0])
    view.load.set(all[0], 2)
    expect(counts(10)).toEqual([0, 10])
  })

  test('one nobody knows gets one exchange at a time until it has answered', async () => {
    const { all, instance, view, counts } = await bench(2)
    instance.settled?.(all[0], 'success', 5)
    expect(counts(1)).toEqual([0, 1])
    view.load.set(all[1], 1)
    view.load.set(all[0], 50)
    expect(counts(10)).toEqual([10, 0])
  })

  test('failures never make a backend look faster, and one without an answer counts as a second', async () => {
    const { all, instance, time, counts } = await bench(2)
    for (const backend of all) instance.settled?.(backend, 'success', 50)
    for (let i = 0; i < 100; i++) {
      time.advance(100)
      instance.settled?.(all[0], 'failure', 0.1)
      instance.settled?.(all[1], 'success', 49)
    }
    expect(counts(10)).toEqual([0, 10])
    instance.settled?.(all[1], 'failure', Number.NaN)
    expect(counts(10)).toEqual([10, 0])
  })

  test('an exchange that the client gave up says nothing', async () => {
    const { all, instance, counts } = await bench(2)
    for (const backend of all) instance.settled?.(backend, 'success', 10)
    instance.settled?.(all[0], 'success', 11)
    instance.settled?.(all[1], 'cancelled', 1000)
    expect(counts(10)).toEqual([0, 10])
  })

  test('threads share what they have seen, though their clocks start apart; so does a later instance', async () => {
    const { all, time, instance, thread } = await bench(2)
    const other = await thread(123_456)
    instance.settled?.(all[0], 'success', 40)
    other.settled?.(all[1], 'success', 10)
    time.advance(500)
    for (const one of [instance, other, await thread(7)]) expect(countPicks(one, all, 10)).toEqual([0, 10])
  })

  test('equally fast ones share by weight while idle (χ²)', async () => {
    const { all, instance, counts } = await bench(10, (index) => 1 + (index % 3))
    for (const backend of all) instance.settled?.(backend, 'success', 8)
    const weights = all.map(({ weight }) => weight)
    expect(chiSquare(counts(50_000), weights)).toBeLessThan(chiSquareLimit(9))
  })

  test('what is known survives an update and changed options', async () => {
    const { all, view, instance, counts } = await bench(2)
    instance.settled?.(all[0], 'success', 3)
    instance.settled?.(all[1], 'success', 30)
    instance.update(new FakeView(all, [all[1]]))
    instance.update(view)
    instance.reconfigure?.({ decay: 5000 } as never)
    expect(counts(10)).toEqual([10, 0])
  })
})
