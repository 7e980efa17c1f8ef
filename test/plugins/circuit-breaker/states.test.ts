import { describe, expect, test } from 'vitest'
import { breakerThreads, settle } from './threads.ts'

/** What the breakers that open share: the state machine behind the counting. Options that open them with four failures. */
describe.each([
  ['error-rate', { minRequests: 4, open: '30s', permits: 3 }],
  ['latency', { slow: '2m', minRequests: 4, open: '30s', permits: 3 }],
  ['consecutive-errors', { errors: 4, open: '30s', permits: 3 }],
])('%s', (name, options) => {
  const opened = async (threads = 2) => {
    const setup = await breakerThreads(name, options, threads)
    settle(setup.gates[0], 'failure', 4)
    return setup
  }

  test('is closed at first and gives tokens above 0', async () => {
    const { gates } = await breakerThreads(name, options)
    expect(gates[0].state).toBe('closed')
    expect(gates[0].tryAcquire()).toBeGreaterThan(0)
  })

  test('opens for every thread; the one that opened it is told, once', async () => {
    const { gates, changes } = await opened()
    expect(gates.map(({ state }) => state)).toEqual(['open', 'open'])
    expect(gates.map((gate) => gate.tryAcquire())).toEqual([0, 0])
    expect(changes).toEqual([1, 0])
  })

  test('stays open for its time and not longer, seen from any thread', async () => {
    const { time, gates, changes } = await opened()
    time.advance(29_999)
    expect(gates[1].tryAcquire()).toBe(0)
    time.advance(1)
    expect(gates[1].state).toBe('half-open')
    expect(gates[0].state).toBe('half-open')
    expect(changes).toEqual([1, 1])
  })

  test('half-open gives its permits once over all threads', async () => {
    const { time, gates } = await opened(3)
    time.advance(30_000)
    const tokens = [0, 1, 2, 0, 1].map((thread) => gates[thread].tryAcquire())
    expect(tokens.map((token) => token > 0)).toEqual([true, true, true, false, false])
  })

  test('as many successes as permits close it', async () => {
    const { time, gates, changes } = await opened()
    time.advance(30_000)
    expect(settle(gates[0], 'success', 2)).toBe(2)
    expect(gates[0].state).toBe('half-open')
    settle(gates[1], 'success')
    expect(gates[0].state).toBe('closed')
    expect(changes).toEqual([2, 1])
    // What was counted before it opened is void.
    settle(gates[0], 'failure', 3)
    expect(gates[0].state).toBe('closed')
  })

  test('one failed trial opens it again for the whole time', async () => {
    const { time, gates } = await opened()
    time.advance(30_000)
    settle(gates[0], 'success', 2)
    settle(gates[1], 'failure')
    expect(gates[0].state).toBe('open')
    time.advance(29_999)
    expect(gates[0].state).toBe('open')
    time.advance(1)
    expect(gates[0].state).toBe('half-open')
    // The successes of the last time do not count.
    settle(gates[0], 'success', 2)
    expect(gates[0].state).toBe('half-open')
  })

  test('a cancelled trial gives its permit back and says nothing', async () => {
    const { time, gates } = await opened()
    time.advance(30_000)
    expect(settle(gates[0], 'cancelled', 20)).toBe(20)
    expect(gates[0].state).toBe('half-open')
    expect(settle(gates[0], 'success', 3)).toBe(3)
    expect(gates[0].state).toBe('closed')
  })

  test('permits that are never settled expire, and count if they settle late', async () => {
    const { time, gates } = await opened()
    time.advance(30_000)
    const lost = [1, 2, 3].map(() => gates[0].tryAcquire())
    time.advance(29_999)
    expect(gates[1].tryAcquire()).toBe(0)
    time.advance(1)
    expect(settle(gates[1], 'success', 2)).toBe(2)
    gates[0].settle(lost[0], 'success', 60_000)
    expect(gates[0].state).toBe('closed')
  })

  test('tokens of an earlier state do not count', async () => {
    const { time, gates } = await breakerThreads(name, options)
    const old = [1, 2, 3].map(() => gates[1].tryAcquire())
    settle(gates[0], 'failure', 4)
    for (const token of old) gates[1].settle(token, 'success', 1)
    expect(gates[0].state).toBe('open')
    time.advance(30_000)
    expect(gates[0].state).toBe('half-open')
    gates[1].settle(old[0], 'failure', 1)
    expect(gates[0].state).toBe('half-open')
    const trial = gates[0].tryAcquire()
    settle(gates[0], 'failure')
    time.advance(30_000)
    expect(gates[0].state).toBe('half-open')
    gates[0].settle(trial, 'failure', 1)
    expect(gates[0].state).toBe('half-open')
  })

  test('cancelled tries never open it', async () => {
    const { gates } = await breakerThreads(name, options)
    settle(gates[0], 'cancelled', 1000)
    expect(gates[0].state).toBe('closed')
  })

  test('new options do not close an open breaker, and apply to it', async () => {
    const { time, gates, reconfigure } = await opened()
    reconfigure({ ...options, open: '40s', permits: 1 })
    time.advance(30_000)
    expect(gates[0].state).toBe('open')
    time.advance(10_000)
    settle(gates[0], 'success')
    expect(gates[0].state).toBe('closed')
  })

  test('an instance made anew on the same memory finds it open', async () => {
    const { gates } = await opened()
    expect(gates[1].state).toBe('open')
  })

  test('goes through thousands of openings', async () => {
    const { time, gates } = await breakerThreads(name, options)
    for (let round = 0; round < 3000; round++) {
      settle(gates[round % 2], 'failure', 4)
      expect(gates[0].tryAcquire()).toBe(0)
      time.advance(30_000)
      settle(gates[1], 'success', 3)
      expect(gates[0].state).toBe('closed')
    }
  })

  test.each([
    { open: '0s' },
    { permits: 0 },
    { permits: 101 },
    { unknown: 1 },
  ])('refuses %o', async (wrong) => {
    await expect(breakerThreads(name, wrong)).rejects.toThrow()
  })
})
