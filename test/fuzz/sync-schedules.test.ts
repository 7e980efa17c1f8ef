import { expect, test } from 'vitest'
import { forkMs, healMs, runSchedule } from './sync-schedule.ts'

test.each(
  Array.from({ length: 25 }, (_, index) => index + 1),
)('schedule %d of faults: nothing goes back, nothing is lost, all converge', async (seed) => {
  const { convergedMs, forks } = await runSchedule(seed)
  expect(convergedMs).toBeLessThanOrEqual(forks > 0 ? forkMs : healMs)
})
