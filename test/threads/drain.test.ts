import { describe, expect, test } from 'vitest'
import { drain } from '../../core/threads/drain.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { testLog } from './fixtures/server.ts'

function bench(hurry?: AbortSignal) {
  const clock = new FakeClock()
  const order: string[] = []
  const quiet = Promise.withResolvers<void>()
  const done = drain({
    clock,
    log: testLog().log,
    delayMs: 5000,
    timeoutMs: 30_000,
    hurry,
    startDrain: () => void order.push('drain'),
    closeListeners: async () => void order.push('close'),
    quiet: () => {
      order.push('wait')
      return quiet.promise
    },
  })
  return { clock, order, quiet, done }
}

describe('drain', () => {
  test('accepts for the delay, then closes, then waits for what is in flight', async () => {
    const { clock, order, quiet, done } = bench()
    await clock.advanceAsync(4999)
    expect(order).toEqual(['drain'])
    await clock.advanceAsync(1)
    expect(order).toEqual(['drain', 'close', 'wait'])
    quiet.resolve()
    expect(await done).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('gives up at the timeout', async () => {
    const { clock, done } = bench()
    await clock.advanceAsync(5000)
    await clock.advanceAsync(30_000)
    expect(await done).toBe(false)
  })

  test('in a hurry there is no delay, also when the hurry comes later', async () => {
    const hurry = new AbortController()
    const { clock, order, quiet, done } = bench(hurry.signal)
    await clock.advanceAsync(10)
    hurry.abort()
    await clock.advanceAsync(0)
    expect(order).toEqual(['drain', 'close', 'wait'])
    quiet.resolve()
    expect(await done).toBe(true)
    expect(clock.pending).toBe(0)
  })
})
