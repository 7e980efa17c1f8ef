import { expect, test } from 'vitest'
import { Handover } from '../../core/threads/handover.ts'
import type { Supervisor } from '../../core/threads/supervise.ts'
import type { ThreadLink } from '../../core/threads/thread-link.ts'
import { FakeClock } from '../harness/fake-clock.ts'

const nothing = (): void => {}
const link = (thread: number): ThreadLink =>
  ({ thread, alive: true, modules: 9, exited: new Promise(nothing), send: nothing }) as unknown as ThreadLink

test('a thread that hangs while it leaves is ended, and the next one has its turn', async () => {
  const clock = new FakeClock()
  const [old, next] = [link(0), link(0)]
  const ended: ThreadLink[] = []
  const supervisor = {
    startBeside: async () => next,
    takeSeat: () => true,
    serving: nothing,
    end: async (one: ThreadLink) => void ended.push(one),
    online: () => [next],
  } as unknown as Supervisor
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const handover = new Handover({
    ...{ clock, log, supervisor, longestHistory: 5 },
    bring: async () => true,
    timeoutMs: () => 1000,
  })
  await handover.replace(old)
  expect(handover.due()).toBeUndefined()
  await clock.advanceAsync(120_000)
  expect(ended).toEqual([old])
  expect(handover.due()).toBe(next)
})
