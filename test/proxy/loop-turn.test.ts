import { expect, test } from 'vitest'
import { LoopTurn } from '../../core/proxy/loop-turn.ts'
import type { HoldsBack } from '../../core/proxy/stream.ts'

/** The loop is through with this turn's reads and with its end. */
const turnEnded = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function recorded(name: string, events: string[]): HoldsBack {
  return {
    flushTurn: () => events.push(`flush ${name}`),
    written: (now) => events.push(`written ${name} ${now}`),
  }
}

test('streams are flushed at the end of the turn, in order, and share the time that took', async () => {
  const times = [100, 106]
  const turn = new LoopTurn(() => times.shift() ?? Number.NaN)
  const events: string[] = []
  for (const name of ['a', 'b', 'c']) turn.flushSoon(recorded(name, events))
  expect(events).toEqual([])
  await turnEnded()
  expect(events).toEqual(['flush a', 'flush b', 'flush c', 'written a 102', 'written b 104', 'written c 106'])
})

test('the clock is read once for all that one turn reads, and again in the next', async () => {
  let time = 10
  const turn = new LoopTurn(() => time++)
  expect([turn.now(), turn.now(), turn.now()]).toEqual([10, 10, 10])
  await turnEnded()
  expect([turn.now(), turn.now()]).toEqual([11, 11])
})

test('a stream that holds back again while it is told of its write goes with the next turn', async () => {
  const turn = new LoopTurn(() => 1)
  let flushes = 0
  const stream: HoldsBack = {
    flushTurn: () => flushes++,
    written: () => {
      if (flushes === 1) turn.flushSoon(stream)
    },
  }
  turn.flushSoon(stream)
  await turnEnded()
  expect(flushes).toBe(1)
  await turnEnded()
  expect(flushes).toBe(2)
})

test('holding back twice in one turn is one write', async () => {
  const events: string[] = []
  const turn = new LoopTurn(() => 0)
  const stream = recorded('a', events)
  turn.flushSoon(stream)
  turn.flushSoon(stream)
  await turnEnded()
  expect(events).toEqual(['flush a', 'written a 0'])
})

test('who reads on while it is told of its write does not date the next turn', async () => {
  let time = 10
  const turn = new LoopTurn(() => time++)
  const seen: number[] = []
  turn.flushSoon({ flushTurn: () => {}, written: () => seen.push(turn.now()) })
  await turnEnded()
  expect(seen).toEqual([12])
  expect(turn.now()).toBe(13)
})
