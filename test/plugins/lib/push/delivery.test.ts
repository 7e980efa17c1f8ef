import { describe, expect, test } from 'vitest'
import { Delivery } from '../../../../plugins/lib/push/delivery.ts'
import { FakeTime } from '../../../conformance/time.ts'

const revision = (number: number) => ({ number, id: `w-${number}` })

function world() {
  const time = new FakeTime()
  const node = {
    reachable: true,
    /** What its record says that it has taken. */
    taken: undefined as number | undefined,
    recordReads: 0,
  }
  const calls: [at: number, number: number][] = []
  const warnings: string[] = []
  const given = { retried: 0, up: 0 }
  const delivery = new Delivery({
    name: 'lb-1',
    clock: time.clock(),
    log: { debug() {}, info() {}, warn: (message) => void warnings.push(message), error() {} },
    random: () => 1,
    call: async (_document, { number }) => {
      calls.push([time.elapsed, number])
      if (!node.reachable) throw new Error('not there')
    },
    hasTaken: async (_document, { number }) => {
      node.recordReads++
      return node.taken === undefined ? undefined : node.taken >= number
    },
    retried: () => void given.retried++,
    gaveUp: () => void given.up++,
  })
  return { time, node, calls, warnings, given, delivery }
}

describe('a node that does not answer', () => {
  test('is called again, later each time, and ten seconds apart at most', async () => {
    const { time, node, calls, delivery, given } = world()
    node.reachable = false
    void delivery.push('config', revision(1))
    await time.advanceAsync(45_000)
    const waits = calls.map(([at], index) => at - (calls[index - 1]?.[0] ?? 0))
    expect(waits).toEqual([0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000])
    expect([given.retried, delivery.pending]).toEqual([10, 1])
    node.reachable = true
    await time.advanceAsync(10_000)
    expect([calls.length, delivery.pending]).toEqual([12, 0])
  })

  test('is given up after a minute: nobody waits for it, each announcement tries it once, and its answer brings it back', async () => {
    const { time, node, calls, delivery, given, warnings } = world()
    node.reachable = false
    const first = delivery.push('config', revision(1))
    await time.advanceAsync(80_000)
    expect(await first).toBe(false)
    expect([delivery.isGivenUp, given.up]).toEqual([true, 1])
    expect(warnings).toEqual(['push: lb-1 is given up: not there'])
    const before = calls.length
    const second = delivery.push('config', revision(2))
    await time.advanceAsync(80_000)
    expect([await second, calls.length]).toEqual([false, before + 1])
    expect(warnings).toHaveLength(1)
    node.reachable = true
    expect(await delivery.push('config', revision(3))).toBe(true)
    expect(delivery.isGivenUp).toBe(false)
  })

  test('hears of the last announcement of a document alone, and all who wait for one are told', async () => {
    const { time, node, calls, delivery } = world()
    node.reachable = false
    const pushes = [1, 2, 3].map((number) => delivery.push('config', revision(number)))
    await time.advanceAsync(50)
    node.reachable = true
    await time.advanceAsync(1000)
    expect(await Promise.all(pushes)).toEqual([true, true, true])
    expect(calls.at(-1)?.[1]).toBe(3)
    expect(calls.filter(([at, number]) => at > 0 && number !== 3)).toEqual([])
  })
})

describe('a node that has answered', () => {
  test('and has taken the revision is left alone; so is one whose record does not say', async () => {
    for (const taken of [7, undefined]) {
      const { time, node, calls, delivery } = world()
      node.taken = taken
      await delivery.push('config', revision(7))
      await time.advanceAsync(60_000)
      expect([calls.length, node.recordReads]).toEqual([1, 1])
    }
  })

  test('and has not taken it is told twice more, five seconds apart, then it is said', async () => {
    const { time, node, calls, delivery, warnings } = world()
    node.taken = 6
    await delivery.push('config', revision(7))
    await time.advanceAsync(60_000)
    expect(calls).toEqual([
      [0, 7],
      [5000, 7],
      [10_000, 7],
    ])
    expect(warnings).toEqual(['push: lb-1 was told of revision 7 of config and has not taken it'])
  })

  test('is not asked about a revision that another has followed', async () => {
    const { time, node, calls, delivery, warnings } = world()
    node.taken = 6
    await delivery.push('config', revision(7))
    await time.advanceAsync(4000)
    node.taken = 8
    await delivery.push('config', revision(8))
    await time.advanceAsync(60_000)
    expect([calls.length, warnings]).toEqual([2, []])
  })
})

test('after it was stopped nothing is called, and whoever waits is told', async () => {
  const { time, node, calls, delivery } = world()
  node.reachable = false
  const waiting = delivery.push('config', revision(1))
  await time.advanceAsync(0)
  delivery.stop()
  expect(await waiting).toBe(false)
  const before = calls.length
  await time.advanceAsync(120_000)
  expect([calls.length, time.timers]).toEqual([before, 0])
})
