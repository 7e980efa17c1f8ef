import { expect, test } from 'vitest'
import { z } from 'zod'
import { definePlugin } from '../../core/contracts/plugin.ts'
import type { LoadedPlugin } from '../../core/host/registry.ts'
import { sharedMemory } from '../../core/host/shared-memory.ts'

const loaded = (name: string, hash: string): LoadedPlugin => ({
  definition: definePlugin({
    api: 1,
    kind: 'filter',
    name,
    options: z.strictObject({}),
    create: () => ({}),
  }),
  source: 'built-in',
  hash,
})

test('each use, plugin, version of code, backend and name has memory of its own; the same ones share it', () => {
  const memory = new Map<string, Uint8Array<SharedArrayBuffer>>()
  const owners: number[] = []
  const allocate = (key: string, bytes: number, owner: number) => {
    owners.push(owner)
    const found = memory.get(key) ?? new Uint8Array(new SharedArrayBuffer(bytes))
    memory.set(key, found)
    return found
  }
  const of = (plugin: string, hash: string, id: string) => sharedMemory(loaded(plugin, hash), id, allocate)
  const distinct = [
    of('a', '1', 'x')('n', 8),
    of('b', '1', 'x')('n', 8),
    of('a', '2', 'x')('n', 8),
    of('a', '1', 'y')('n', 8),
    of('a', '1', 'x')('m', 8),
    of('a', '1', 'x')('n', 8, { slot: 3 }),
    of('a', '1', 'x')('n', 8, { slot: 4 }),
    of('a', '1', 'x|n')('', 8),
    of('a', '1', 'x')('|n', 8),
  ]
  expect(new Set(distinct).size).toBe(distinct.length)
  expect(of('a', '1', 'x')('n', 8, { slot: 3 })).toBe(distinct[5])
  expect(owners).toEqual([-1, -1, -1, -1, -1, 3, 4, -1, -1, 3])
})
