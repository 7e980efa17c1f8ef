import { describe, expect, test } from 'vitest'
import type { ThreadSnapshot } from '../../core/proxy/thread-snapshot.ts'
import { joinDelta, splitDelta } from '../../core/threads/delta-parts.ts'
import { applyDelta, makeDelta, shareUnchanged } from '../../core/threads/snapshot-delta.ts'
import { configOf, pool } from './fixtures/configs.ts'

async function snapshotOf(revision: number, services: Record<string, unknown>): Promise<ThreadSnapshot> {
  const { snapshot } = await configOf({ services })
  const placed = Object.values(snapshot.services).map((config, index) => {
    return [config.name, { config, placement: { index, slots: [index], table: undefined } }] as const
  })
  return { ...snapshot, revision, ports: { web: 80 }, services: new Map(placed) }
}

describe('delta', () => {
  test('carries only what is another object, over a structured clone', async () => {
    const first = await snapshotOf(1, { a: pool(), b: pool(), c: pool() })
    const second = await snapshotOf(2, { a: pool(), b: pool(2) })
    const next = shareUnchanged(first, {
      ...second,
      services: new Map([...second.services, ['a', first.services.get('a')!]]),
    })
    const there = applyDelta(undefined, structuredClone(makeDelta(undefined, first)))
    expect(there).toEqual(first)
    const delta = structuredClone(makeDelta(first, next))
    expect(Object.keys(delta.rest).sort()).toEqual(['revision', 'routes'])
    expect(delta.changed.map(([name]) => name)).toEqual(['b'])
    expect(delta.removed).toEqual(['c'])
    const after = applyDelta(there, delta)
    expect(after).toEqual(next)
    expect(after.services.get('a')).toBe(there.services.get('a'))
    expect(after.listeners).toBe(there.listeners)
  })

  test('does not fit another base', async () => {
    const first = await snapshotOf(1, { a: pool() })
    const third = await snapshotOf(3, { a: pool() })
    expect(() => applyDelta(first, makeDelta(third, third))).toThrow(/does not fit/)
  })
})

describe('a delta in parts', () => {
  const backends = (count: number) => ({
    backends: Array.from({ length: count }, (_, index) => ({ url: `http://127.0.0.1:${2000 + index}` })),
  })

  test('is the same when it is whole again, and no part has more backends than the limit', async () => {
    const first = await snapshotOf(1, {
      ...{ small: pool(), large: backends(23), other: backends(10), even: backends(5) },
      last: pool(),
    })
    const delta = makeDelta(undefined, first)
    const { parts, delta: rest } = splitDelta(delta, 10)
    expect(rest.changed).toEqual([])
    expect(parts.length).toBeGreaterThan(3)
    for (const part of parts)
      expect(part.reduce((sum, piece) => sum + piece.backends.length, 0)).toBeLessThanOrEqual(10)
    expect(joinDelta(structuredClone(parts), structuredClone(rest))).toEqual(delta)
  })

  test('is one message where it is small', async () => {
    const delta = makeDelta(undefined, await snapshotOf(1, { a: pool(), b: backends(3) }))
    expect(splitDelta(delta, 10)).toEqual({ parts: [], delta })
    expect(joinDelta([], delta)).toBe(delta)
  })
})
