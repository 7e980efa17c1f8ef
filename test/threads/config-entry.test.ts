import { expect, test } from 'vitest'
import type { SyncState } from '../../core/config/sync/state.ts'
import { configEntry } from '../../core/threads/config-entry.ts'

const at = { lineage: 'l', number: 7, id: '3f2a9c001122334455' }
const state: SyncState = {
  ...{ applied: at, from: 'store', nack: undefined, lastNack: 0, fork: undefined, reachable: true },
  ...{ failure: undefined, empty: false, bus: 'up', polling: false, reads: 3, notKept: undefined },
}

test('what is served stands first', () => {
  expect(configEntry(4, state)).toEqual({
    ...{ name: 'config', ready: true, degraded: false },
    detail: 'revision 7 (3f2a9c001122) from store',
  })
})

test.each<[what: string, change: Partial<SyncState>, detail: RegExp]>([
  [
    'a refusal',
    { nack: { ...at, number: 8, code: 'MR_CONFIG_INVALID', reason: 'one\ntwo', at: 0 } },
    /revision 8 \(3f2a9c001122\) is refused: one \| two$/,
  ],
  [
    'a fork',
    { fork: { head: at, reason: 'it has lost writes', since: 0, followsAt: 30_000 } },
    /FORK: it has lost writes; the store is followed at 1970-01-01T00:00:30\.000Z$/,
  ],
  [
    'a store that has lost everything',
    { fork: { head: undefined, reason: 'nothing', since: 0, followsAt: undefined } },
    /FORK: nothing; the store is not followed$/,
  ],
  [
    'a store that is away',
    { reachable: false, failure: 'MR_STORE_UNAVAILABLE refused' },
    /the store cannot be asked: MR_STORE_UNAVAILABLE refused$/,
  ],
  ['a full disk', { notKept: 'no space' }, /last-known-good cannot be kept: no space$/],
])('%s is told, and makes no server unready', (_what, change, detail) => {
  const entry = configEntry(4, { ...state, ...change })
  expect(entry).toMatchObject({ ready: true, degraded: true })
  expect(entry.detail).toMatch(detail)
})

test('while nothing is served it says what is waited for', () => {
  const nothing = { ...state, applied: undefined, from: undefined }
  expect(configEntry(0, { ...nothing, reachable: undefined }).detail).toBe('none applied yet')
  expect(configEntry(0, { ...nothing, empty: true }).detail).toBe('the store holds no config yet')
  expect(configEntry(0, { ...nothing, reachable: false, failure: 'x' })).toMatchObject({
    ready: false,
    detail: 'waits for the store; the store cannot be asked: x',
  })
  expect(configEntry(0, undefined)).toMatchObject({ ready: false, detail: 'none applied yet' })
})
