import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { onEndSignals } from '../../cli/end-signals.ts'

function listen(doubled: boolean) {
  const source = new EventEmitter()
  const calls: string[] = []
  let nowMs = 1000
  const stop = onEndSignals(source, { now: () => nowMs }, doubled, {
    first: (signal) => calls.push(`first ${signal}`),
    second: (signal) => calls.push(`second ${signal}`),
  })
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { source, calls, pass, stop }
}

test('the first signal asks for an orderly end, whatever comes next for an immediate one', () => {
  const { source, calls } = listen(false)
  source.emit('SIGTERM')
  source.emit('SIGINT')
  expect(calls).toEqual(['first SIGTERM', 'second SIGINT'])
})

test('behind a launcher, signals of one key press are one', () => {
  const { source, calls, pass } = listen(true)
  for (let copy = 0; copy < 3; copy++) {
    source.emit('SIGINT')
    pass(20)
  }
  expect(calls).toEqual(['first SIGINT'])
  pass(1000)
  source.emit('SIGINT')
  expect(calls).toEqual(['first SIGINT', 'second SIGINT'])
})

test('the listeners can be taken off again', () => {
  const { source, stop } = listen(false)
  stop()
  expect(source.listenerCount('SIGTERM') + source.listenerCount('SIGINT')).toBe(0)
})
