/** A lock whose timers come late, as they do after a stall. */
import type { Lease } from 'millrace'
import { expect, test } from 'vitest'
import { KeptLock } from '../../../plugins/lib/kept-lock.ts'

/** A lease and a clock that do what the test says. */
function world() {
  const timers = new Map<number, () => void>()
  const lease = { leftMs: 900, renewals: 0, released: 0, answer: true as boolean | Error }
  const kept: Lease = {
    ...{ name: 'job', holder: 'me', token: { lineage: 'l', number: 1 }, ttlMs: 1200 },
    valid: () => lease.leftMs > 0,
    remainingMs: () => lease.leftMs,
    async renew() {
      lease.renewals++
      if (lease.answer instanceof Error) throw lease.answer
      lease.leftMs = lease.answer ? 1100 : 0
      return lease.answer
    },
    async release() {
      lease.released++
    },
  }
  const clock = {
    after(ms: number, run: () => void) {
      timers.set(ms, run)
      return { cancel: () => void timers.delete(ms) }
    },
  }
  const ended: string[] = []
  const lock = new KeptLock('job', kept, clock, ({ name }) => void ended.push(name))
  /** Runs the timer that was set for so long. */
  const fire = async (ms: number): Promise<void> => {
    const run = timers.get(ms)
    timers.delete(ms)
    run?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { lock, lease, timers, ended, fire }
}

test('is renewed after a third of its time, sooner after a renewal of which nobody knows', async () => {
  const { lock, lease, timers, fire } = world()
  expect([...timers.keys()].sort()).toEqual([400, 900])
  lease.answer = new Error('no answer')
  await fire(400)
  expect(timers.has(100)).toBe(true)
  lease.answer = true
  await fire(100)
  expect([lease.renewals, lock.valid(), lock.remainingMs()]).toEqual([2, true, 1100])
  expect([...timers.keys()].sort()).toEqual([1100, 400])
})

test('seen to be over once, a renewal that comes through afterwards does not bring it back', async () => {
  const { lock, lease, ended, fire } = world()
  lease.leftMs = 0
  expect(lock.valid()).toBe(false)
  await fire(400)
  expect(lease.leftMs).toBe(1100)
  expect([lock.valid(), lock.remainingMs(), lock.lost.aborted]).toEqual([false, 0, true])
  expect([lease.released, ended]).toEqual([1, ['job']])
})

test('a timer that comes late finds it over, or renewed meanwhile', async () => {
  const renewed = world()
  renewed.lease.leftMs = 50
  await renewed.fire(900)
  expect([renewed.lock.valid(), renewed.timers.has(50)]).toEqual([true, true])
  renewed.lease.leftMs = 0
  await renewed.fire(50)
  expect(renewed.lock.lost.aborted).toBe(true)
  expect([...renewed.timers.keys()]).toEqual([])
})

test('released once, however often it is asked; then nothing runs, and it is not lost', async () => {
  const { lock, lease, timers, ended } = world()
  await Promise.all([lock.release(), lock.release()])
  await lock.lose('late')
  expect([lease.released, timers.size, lock.lost.aborted, ended]).toEqual([1, 0, false, ['job']])
})
