import { expect, test, vi } from 'vitest'
import { systemClock } from '../../core/host/clock.ts'
import { FakeClock } from '../harness/fake-clock.ts'

test('the system clock calls once, or again and again, until it is cancelled', async () => {
  const calls: string[] = []
  const never = systemClock.after(0, () => calls.push('cancelled'))
  never.cancel()
  never.cancel()
  const start = systemClock.now()
  await new Promise<void>((resolve) => systemClock.after(5, resolve))
  expect(systemClock.now() - start).toBeGreaterThan(3)
  await new Promise<void>((resolve) => {
    const timer = systemClock.every(1, () => {
      if (calls.push('tick') < 3) return
      timer.cancel()
      resolve()
    })
  })
  expect(calls).toEqual(['tick', 'tick', 'tick'])
  expect(Math.abs(systemClock.wall() - Date.now())).toBeLessThan(1000)
})

test('a time that the platform’s timers cannot hold is not over at once', () => {
  vi.useFakeTimers()
  try {
    let fired = 0
    systemClock.after(2 ** 32, () => fired++)
    const endless = systemClock.after(Number.POSITIVE_INFINITY, () => fired++)
    vi.advanceTimersByTime(2 ** 32 - 1)
    expect(fired).toBe(0)
    vi.advanceTimersByTime(1)
    expect(fired).toBe(1)
    endless.cancel()
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

test('the fake clock runs timers in order, each at its own time', () => {
  const clock = new FakeClock({ now: 0 })
  const seen: string[] = []
  const note = (name: string) => () => void seen.push(`${name} ${clock.now()}`)
  clock.every(10, note('every'))
  clock.after(15, () => {
    note('after')()
    clock.after(5, note('nested'))
  })
  clock.advance(25)
  expect(seen).toEqual(['every 10', 'after 15', 'every 20', 'nested 20'])
  clock.stall(100)
  expect(seen.slice(4)).toEqual(['every 125'])
})
