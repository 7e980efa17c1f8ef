/** `millrace bench sync` on real servers, with little of everything. */
import { expect, test } from 'vitest'
import { approaches, chooseApproaches } from '../../bench/sync/approaches.ts'
import type { SyncPlan } from '../../bench/sync/measure.ts'
import { measureSync, syncFiles } from '../../bench/sync/run.ts'

const plan: SyncPlan = {
  ...{ engines: [1, 3], faultEngines: 2, changeSeconds: 0, leastChanges: 2, mostChanges: 10 },
  ...{ idleSeconds: 0.2, faultReconcileMs: 1000, silentMs: 500 },
}
const run = (only: string) =>
  measureSync({
    ...{ approaches: chooseApproaches(only), quick: true, plan, seed: 7 },
    signal: new AbortController().signal,
  })

test('every engine gets every change, told by Redis or asking for it, and in spite of faults', {
  timeout: 120_000,
}, async () => {
  const { spreads, faults, notes } = await run('poll@redis,redis@redis')
  expect(notes.filter((note) => note.includes('left out'))).toEqual([])
  const names = ['poll on redis', 'redis on redis']
  const measured = spreads.map(({ approach, engines }) => [approach, engines])
  expect(measured).toEqual(names.flatMap((name) => [1, 3].map((engines) => [name, engines])))
  for (const { engines, changes, each, last } of spreads) {
    expect(changes).toBe(2)
    expect(each.count).toBe(changes * engines)
    expect(last.count).toBe(changes)
    expect(last.p50).toBeGreaterThanOrEqual(each.p50)
  }
  const told = spreads.filter(({ approach }) => approach === 'redis on redis')
  for (const { hints, reads } of told) {
    expect(hints).toBeGreaterThanOrEqual(1)
    expect(reads).toBeGreaterThan(0)
  }
  const [asking, telling] = ['poll on redis', 'redis on redis'].map((name) =>
    faults.find(({ approach }) => approach === name),
  )
  expect(asking).toMatchObject({ silent: undefined, lost: undefined, restart: expect.any(Number) })
  expect(telling).toMatchObject({
    silent: expect.any(Number),
    lost: expect.any(Number),
    restart: expect.any(Number),
  })
})

test('the report has a row for each, and a picture', { timeout: 120_000 }, async () => {
  const results = await run('native,sqlite')
  const { 'sync.md': markdown, 'sync.svg': picture, 'sync.json': json } = syncFiles(results)
  expect(markdown).toContain('| native on sqlite | 3 | 2 |')
  expect(markdown).toContain('| native on sqlite | 2 | – |')
  expect(picture).toContain('native on sqlite')
  expect(JSON.parse(json).spreads).toHaveLength(2)
})

test('a list names syncs, stores or both', () => {
  const names = (list: string): string[] => chooseApproaches(list).map(({ name }) => name)
  expect(names('redis-pubsub')).toEqual(['redis-pubsub on redis'])
  expect(names('poll,sqlite')).toEqual(['poll on sqlite'])
  expect(names('redis@redis,push')).toEqual(['redis on redis', 'push on redis'])
  expect(chooseApproaches(undefined)).toBe(approaches)
  expect(() => chooseApproaches('etcd')).toThrow(/unknown sync or store "etcd"; there are .*zookeeper/)
})

test('what was asked to end ends, and says why', async () => {
  const controller = new AbortController()
  controller.abort(new Error('interrupted'))
  const started = measureSync({
    ...{ approaches: chooseApproaches('sqlite'), quick: true, plan, seed: 7, signal: controller.signal },
  })
  await expect(started).rejects.toThrow('interrupted')
})
