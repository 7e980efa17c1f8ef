import type { BreakerGate } from 'millrace'
import { expect, test } from 'vitest'
import { FakeTime, seeded, threadContext } from '../fake-context.ts'
import { numbered } from '../fake-view.ts'
import { breaker } from '../make.ts'
import { type BreakerThreads, breakerThreads } from './threads.ts'

/** A backend that works on so many exchanges at once, each taking 10 ms; the others wait. */
class Rig {
  readonly threads: BreakerThreads
  capacity: number
  readonly #random = seeded(11)
  #running: { gate: BreakerGate; token: number; left: number; age: number }[] = []
  refused = 0

  constructor(threads: BreakerThreads, capacity: number) {
    this.threads = threads
    this.capacity = capacity
  }

  get inFlight(): number {
    return this.#running.length
  }

  /** A millisecond, in which so many want in. */
  step(arrivals: number): void {
    const { gates, time } = this.threads
    for (let i = 0; i < arrivals; i++) {
      const gate = gates[Math.floor(this.#random() * gates.length)]
      const token = gate.tryAcquire()
      if (token === 0) this.refused++
      else this.#running.push({ gate, token, left: 10, age: 0 })
    }
    time.advance(1)
    this.#running.forEach((one, i) => {
      one.age++
      if (i < this.capacity) one.left--
    })
    for (const { gate, token, left, age } of this.#running) if (left === 0) gate.settle(token, 'success', age)
    this.#running = this.#running.filter(({ left }) => left > 0)
  }

  run(ms: number, arrivals: number): void {
    for (let i = 0; i < ms; i++) this.step(arrivals)
  }
}

test('lets no more in than the limit, over all threads', async () => {
  const { gates } = await breakerThreads('adaptive-concurrency', { initial: 6 }, 2)
  const tokens = Array.from({ length: 8 }, (_, i) => gates[i % 2].tryAcquire())
  expect(tokens.filter((token) => token > 0)).toHaveLength(6)
  gates[0].settle(1, 'cancelled', Number.NaN)
  expect(gates[1].tryAcquire()).toBeGreaterThan(0)
  expect(gates[0].tryAcquire()).toBe(0)
})

test('finds what an overloaded backend can do, and follows it down and up again', async () => {
  const rig = new Rig(await breakerThreads('adaptive-concurrency', { initial: 10 }, 2), 40)
  // More than it can do: 4 a millisecond. Without a limit thousands would wait after these 60 s.
  rig.run(60_000, 6)
  expect(rig.inFlight).toBeGreaterThanOrEqual(20)
  expect(rig.inFlight).toBeLessThan(160)
  const before = rig.inFlight
  rig.capacity = 10
  rig.run(10_000, 6)
  expect(rig.inFlight).toBeLessThan(before)
  rig.capacity = 200
  rig.run(60_000, 30)
  expect(rig.inFlight).toBeGreaterThan(60)
})

test('does not grow where nobody needs it, and never leaves its bounds', async () => {
  const rig = new Rig(
    await breakerThreads('adaptive-concurrency', { initial: 50, min: 50, max: 60 }, 1),
    1000,
  )
  rig.run(20_000, 1)
  const [gate] = rig.threads.gates
  let more = 0
  while (gate.tryAcquire() > 0) more++
  expect(more + rig.inFlight).toBe(50)
  for (let i = 0; i < more; i++) gate.settle(1, 'cancelled', Number.NaN)
  rig.run(20_000, 30)
  expect(rig.inFlight).toBeLessThanOrEqual(60)
})

test('falls when tries are lost', async () => {
  const { gates, time } = await breakerThreads('adaptive-concurrency', { initial: 100, min: 5 }, 1)
  const fill = (): number => {
    let count = 0
    while (gates[0].tryAcquire() > 0) count++
    return count
  }
  const first = fill()
  expect(first).toBe(100)
  for (let i = 0; i < first; i++) gates[0].settle(1, 'failure', Number.NaN)
  time.advance(250)
  const second = fill()
  for (let i = 0; i < second; i++) gates[0].settle(1, 'failure', Number.NaN)
  expect(fill()).toBeLessThan(100)
})

test('a thread that comes anew gives back what the dead one had in flight', async () => {
  const setup = await breakerThreads('adaptive-concurrency', { initial: 5 }, 2)
  while (setup.gates[1].tryAcquire() > 0);
  expect(setup.gates[0].tryAcquire()).toBe(0)
  const anew = setup.instances[1].for(setup.backend, () => {})
  expect(anew.tryAcquire()).toBeGreaterThan(0)
  expect(setup.gates[0].tryAcquire()).toBeGreaterThan(0)
})

test('what a former instance over the same memory let in and settles late does not widen the limit', async () => {
  const [backend] = numbered(1)
  const context = threadContext({ clock: new FakeTime().clock(), memory: new Map() })
  const make = async () =>
    (await breaker('adaptive-concurrency', { initial: 6 }, context)).for(backend, () => {})
  const former = await make()
  for (let i = 0; i < 4; i++) former.tryAcquire()
  const gate = await make()
  for (let i = 0; i < 4; i++) former.settle(1, 'success', 1)
  const tokens = Array.from({ length: 20 }, () => gate.tryAcquire())
  expect(tokens.filter((token) => token > 0)).toHaveLength(6)
})
