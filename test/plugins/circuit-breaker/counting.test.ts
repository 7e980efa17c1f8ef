import type { BreakerGate } from 'millrace'
import { describe, expect, test } from 'vitest'
import { breakerThreads, settle } from './threads.ts'

describe('error-rate', () => {
  test('by default it opens at 20 requests of which half failed', async () => {
    const { gates } = await breakerThreads('error-rate')
    settle(gates[0], 'failure', 19)
    expect(gates[0].state).toBe('closed')
    settle(gates[0], 'failure')
    expect(gates[0].state).toBe('open')
  })

  test('under the threshold it stays closed', async () => {
    const { gates } = await breakerThreads('error-rate', { threshold: '50%' })
    for (let i = 0; i < 500; i++) {
      settle(gates[0], 'success', 2)
      settle(gates[0], 'failure')
    }
    expect(gates[0].state).toBe('closed')
  })

  test('a success that completes the minimum opens it too', async () => {
    const { gates } = await breakerThreads('error-rate', { minRequests: 10, threshold: '50%' })
    settle(gates[0], 'failure', 6)
    settle(gates[0], 'success', 3)
    expect(gates[0].state).toBe('closed')
    settle(gates[0], 'success')
    expect(gates[0].state).toBe('open')
  })

  test('counts over all threads', async () => {
    const { gates } = await breakerThreads('error-rate', { minRequests: 20, threshold: '50%' }, 4)
    for (const gate of gates) settle(gate, 'failure', 4)
    expect(gates[0].state).toBe('closed')
    settle(gates[3], 'failure', 4)
    expect(gates[0].state).toBe('open')
  })

  test('successes of one thread weigh against failures of another', async () => {
    const { gates } = await breakerThreads('error-rate', { minRequests: 20, threshold: '50%' })
    settle(gates[0], 'success', 100)
    settle(gates[1], 'failure', 99)
    expect(gates[0].state).toBe('closed')
    settle(gates[1], 'failure')
    expect(gates[0].state).toBe('open')
  })

  test('what is older than the window does not count', async () => {
    const { time, gates } = await breakerThreads('error-rate', { window: '10s', minRequests: 10 })
    settle(gates[0], 'failure', 9)
    time.advance(10_000)
    settle(gates[0], 'failure', 9)
    expect(gates[0].state).toBe('closed')
    time.advance(5000)
    settle(gates[0], 'failure')
    expect(gates[0].state).toBe('open')
  })

  test('a window of steady traffic holds its last ten tenths', async () => {
    const { time, gates } = await breakerThreads('error-rate', {
      window: '1s',
      minRequests: 50,
      threshold: '50%',
    })
    // 4 failures in each tenth of a second: never 50 in a second.
    for (let i = 0; i < 100; i++) {
      settle(gates[i % 2], 'failure', 4)
      time.advance(100)
    }
    expect(gates[0].state).toBe('closed')
  })

  test('reconfigured, it counts by the new window and threshold', async () => {
    const { time, gates, reconfigure } = await breakerThreads('error-rate', {
      window: '10s',
      minRequests: 10,
    })
    reconfigure({ window: '1s', minRequests: 4, threshold: '100%' })
    settle(gates[0], 'failure', 3)
    time.advance(1000)
    settle(gates[0], 'failure', 3)
    expect(gates[0].state).toBe('closed')
    settle(gates[1], 'failure')
    expect(gates[0].state).toBe('open')
    expect(time.timers).toBe(2)
  })

  test.each([
    { window: '99ms' },
    { threshold: '0%' },
    { threshold: '101%' },
    { minRequests: 0 },
  ])('refuses %o', async (wrong) => {
    await expect(breakerThreads('error-rate', wrong)).rejects.toThrow()
  })
})

describe('consecutive-errors', () => {
  test('by default it opens at the fifth failure in a row', async () => {
    const { gates } = await breakerThreads('consecutive-errors')
    settle(gates[0], 'failure', 4)
    expect(gates[0].state).toBe('closed')
    settle(gates[1], 'failure')
    expect(gates[0].state).toBe('open')
  })

  test('a success on any thread starts the count again, a cancelled try does not', async () => {
    const { gates } = await breakerThreads('consecutive-errors', { errors: 3 })
    settle(gates[0], 'failure', 2)
    settle(gates[1], 'success')
    settle(gates[0], 'failure', 2)
    expect(gates[0].state).toBe('closed')
    settle(gates[1], 'cancelled')
    settle(gates[0], 'failure')
    expect(gates[0].state).toBe('open')
  })
})

describe('latency', () => {
  const took = (gate: BreakerGate, ms: number, times: number): void => {
    for (let i = 0; i < times; i++) gate.settle(gate.tryAcquire(), 'success', ms)
  }

  test('slow tries open it, quick ones weigh against them, failures count as slow', async () => {
    const options = { slow: '200ms', minRequests: 10, threshold: '50%' }
    const { gates } = await breakerThreads('latency', options)
    took(gates[0], 201, 6)
    took(gates[1], 200, 7)
    expect(gates[0].state).toBe('closed')
    settle(gates[1], 'failure')
    expect(gates[0].state).toBe('open')
  })

  test('a slow trial opens it again; new options hold at once', async () => {
    const { gates, time, reconfigure } = await breakerThreads('latency', {
      slow: '200ms',
      minRequests: 2,
      open: '5s',
    })
    took(gates[0], 300, 2)
    time.advance(5000)
    took(gates[0], 300, 1)
    expect(gates[0].state).toBe('open')
    reconfigure({ slow: '1s', minRequests: 2, open: '5s', permits: 1 })
    time.advance(5000)
    took(gates[0], 300, 1)
    expect(gates[0].state).toBe('closed')
  })
})
