import { expect, test } from 'vitest'
import { healMs, newsMs, runSwimSchedule } from './swim-schedule.ts'

test.each(
  Array.from({ length: 25 }, (_, index) => index + 1),
)('schedule %d of faults: all who are there agree on who is, and hear what is announced', (seed) => {
  const { convergedMs, spreadMs } = runSwimSchedule(seed)
  expect(convergedMs).toBeLessThanOrEqual(healMs)
  expect(spreadMs).toBeLessThanOrEqual(newsMs)
})
