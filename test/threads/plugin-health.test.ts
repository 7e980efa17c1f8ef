import { expect, test } from 'vitest'
import type { AnyPlugin } from '../../core/contracts/plugin.ts'
import type { LoadedPlugin } from '../../core/host/registry.ts'
import { PluginHealth } from '../../core/threads/plugin-health.ts'
import { FakeClock } from '../harness/fake-clock.ts'

const loaded = (
  hash: string,
  source: LoadedPlugin['source'] = { specifier: './a.ts', kind: 'path', location: '/a.ts' },
) => ({ definition: { kind: 'filter', name: 'a' } as AnyPlugin, source, hash }) as LoadedPlugin

function bench() {
  const clock = new FakeClock()
  const health = new PluginHealth(clock)
  const fault = (count: number): void =>
    health.faulted({ kind: 'filter', plugin: 'a', count, hook: 'onRequest', message: 'boom' })
  return { clock, health, fault }
}

test('ten faults within a minute are unhealthy; it is healthy again when they are older than that', () => {
  const { clock, health, fault } = bench()
  fault(9)
  expect(health.states()).toMatchObject([{ healthy: true, recent: 9 }])
  clock.advance(30_000)
  fault(1)
  expect(health.states()).toMatchObject([{ healthy: false, recent: 10, last: 'onRequest: boom' }])
  clock.advance(31_000)
  expect(health.states()).toMatchObject([{ healthy: true, recent: 1, faults: 10 }])
  clock.advance(30_000)
  expect(health.states()).toMatchObject([{ healthy: true, recent: 0, faults: 10 }])
})

test('faults that go on for hours are held by the second, not one by one', () => {
  const { clock, health, fault } = bench()
  for (let i = 0; i < 10_000; i++) {
    fault(1)
    clock.advance(100)
  }
  const [{ recent, faults }] = health.states()
  expect(faults).toBe(10_000)
  expect(recent).toBeGreaterThanOrEqual(600)
  expect(recent).toBeLessThanOrEqual(610)
})

test('three crashes within five minutes bar a version, and no other one', () => {
  const { clock, health } = bench()
  expect(health.crashed(loaded('one'), 'boom')).toBe(false)
  clock.advance(301_000)
  expect(health.crashed(loaded('one'), 'boom')).toBe(false)
  expect(health.crashed(loaded('two'), 'boom')).toBe(false)
  expect(health.crashed(loaded('one'), 'boom')).toBe(false)
  expect(health.crashed(loaded('one'), 'the last')).toBe(true)
  expect(health.bar(loaded('one'))).toEqual({ crashes: 3, message: 'the last' })
  expect(health.bar(loaded('two'))).toBeUndefined()
  expect(health.states()).toMatchObject([{ crashes: 5 }])
})

test('throws on the main thread count as faults, and bar nothing', () => {
  const { health } = bench()
  for (let i = 0; i < 5; i++) health.threwOutside(loaded('one'), 'boom')
  expect(health.bar(loaded('one'))).toBeUndefined()
  expect(health.states()).toMatchObject([
    { crashes: 5, recent: 5, healthy: true, last: 'outside of any hook: boom' },
  ])
})

test('a built-in is never barred: there is nothing to take its place', () => {
  const { health } = bench()
  for (let i = 0; i < 5; i++) expect(health.crashed(loaded('built-in', 'built-in'), 'boom')).toBe(false)
  expect(health.bar(loaded('built-in', 'built-in'))).toBeUndefined()
})
