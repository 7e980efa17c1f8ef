import { expect, test } from 'vitest'
import { FaultReport, type PluginFault } from '../../core/threads/fault-report.ts'
import type { FromThread } from '../../core/threads/messages.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { testLog } from './fixtures/server.ts'

const fault: PluginFault = {
  kind: 'filter',
  plugin: 'stamp',
  hook: 'onRequest',
  level: 'error',
  message: 'filter stamp failed in onRequest',
  fields: { cause: 'Error: boom\n    at somewhere' },
}

function bench() {
  const clock = new FakeClock()
  const { lines, log } = testLog()
  const posted: FromThread[] = []
  return {
    clock,
    lines,
    posted,
    report: new FaultReport({ clock, log, post: (message) => void posted.push(message) }),
  }
}

test('a thousand faults are one message, twenty lines, and a line that says how many are missing', () => {
  const { clock, lines, posted, report } = bench()
  for (let i = 0; i < 1000; i++) report.add(fault)
  clock.advance(100)
  expect(posted).toEqual([
    {
      type: 'faults',
      faults: [{ kind: 'filter', plugin: 'stamp', count: 1000, hook: 'onRequest', message: 'Error: boom' }],
    },
  ])
  expect(lines.map(({ message }) => message)).toEqual(Array(20).fill('filter stamp failed in onRequest'))
  clock.advance(900)
  expect(lines.at(-1)?.message).toBe(
    '980 more faults of filter stamp in onRequest within this second are not logged',
  )
})

test('the next second has lines of its own, and each hook has', () => {
  const { clock, lines, report } = bench()
  for (let i = 0; i < 30; i++) report.add(fault)
  report.add({ ...fault, hook: 'onDone', message: 'other' })
  clock.advance(1000)
  report.add(fault)
  expect(lines.map(({ message }) => message).filter((message) => message === 'other')).toHaveLength(1)
  expect(lines.at(-1)?.message).toBe(fault.message)
})

test('what is logged already only counts', () => {
  const { clock, lines, posted, report } = bench()
  report.add({ ...fault, level: 'logged' })
  clock.advance(2000)
  expect(posted).toHaveLength(1)
  expect(lines).toEqual([])
})
