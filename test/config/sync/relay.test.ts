/** The relay on a simulated store, in fake time: what it announces, and when it fails. */
import { expect, test } from 'vitest'
import { MillraceError } from '#core/host/errors'
import { Fleet } from './relay-fleet.ts'

test('what was committed and never announced is announced once, and noted', async () => {
  const fleet = new Fleet()
  await fleet.put('config')
  const { relay } = await fleet.relay('a')
  await fleet.pass(1000)
  expect(fleet.announced).toEqual([{ by: 'a', document: 'config', number: 1 }])
  expect(await fleet.waiting()).toEqual([])
  await fleet.put('config')
  await fleet.put('overrides')
  await fleet.pass(1000)
  expect(fleet.announced.slice(1)).toEqual([
    { by: 'a', document: 'config', number: 2 },
    { by: 'a', document: 'overrides', number: 1 },
  ])
  await fleet.pass(10_000)
  expect(fleet.announced).toHaveLength(3)
  expect(relay.state.announced).toBe(3)
})

test('what its writer has announced is left alone', async () => {
  const fleet = new Fleet()
  await fleet.relay('a')
  await fleet.put('config')
  await fleet.data.client().markAnnounced('config', { number: 1, id: 'write-1' })
  await fleet.pass(5000)
  expect(fleet.announced).toEqual([])
})

test('a change that comes while the one before is announced is announced too', async () => {
  const fleet = new Fleet()
  const { store } = await fleet.relay('a')
  const mark = store.markAnnounced.bind(store)
  store.markAnnounced = async (...given) => {
    store.markAnnounced = mark
    await fleet.put('config')
    await mark(...given)
  }
  await fleet.put('config')
  await fleet.pass(2000)
  expect(fleet.announced.map(({ number }) => number)).toEqual([1, 2])
  expect(await fleet.waiting()).toEqual([])
})

test('while the bus is away it stays in the outbox, is told once, and is announced when the bus is back', async () => {
  const fleet = new Fleet()
  const { lines } = await fleet.relay('a')
  fleet.busDown = true
  await fleet.put('config')
  await fleet.pass(20_000)
  expect(await fleet.waiting()).toEqual(['config'])
  expect(lines.filter((line) => line.includes('could not be announced'))).toEqual([
    'relay: config could not be announced, and is kept: the bus is away',
  ])
  fleet.busDown = false
  await fleet.pass(8000)
  expect(fleet.announced).toHaveLength(1)
  expect(await fleet.waiting()).toEqual([])
})

test('a document that cannot be announced holds up no other, and is tried ever more seldom', async () => {
  const fleet = new Fleet()
  fleet.busDown = 'config'
  await fleet.put('config')
  await fleet.put('overrides')
  const { lines } = await fleet.relay('a')
  await fleet.pass(500)
  expect(fleet.announced).toEqual([{ by: 'a', document: 'overrides', number: 1 }])
  await fleet.put('overrides')
  await fleet.pass(500)
  expect(fleet.announced.at(-1)).toEqual({ by: 'a', document: 'overrides', number: 2 })
  const tries = () => fleet.tried.filter((document) => document === 'config').length
  await fleet.pass(20_000)
  const before = tries()
  await fleet.pass(60_000)
  expect(tries() - before).toBeGreaterThanOrEqual(9)
  expect(tries() - before).toBeLessThanOrEqual(17)
  expect(lines.filter((line) => line.includes('could not'))).toHaveLength(1)
  expect(await fleet.waiting()).toEqual(['config'])
  fleet.busDown = false
  await fleet.pass(8000)
  expect(await fleet.waiting()).toEqual([])
})

test('an announcement that never ends holds up no other, is made again, and holds up no end', async () => {
  const fleet = new Fleet()
  fleet.hangs = 'config'
  await fleet.put('config')
  const { relay, lines } = await fleet.relay('a')
  await fleet.pass(1000)
  await fleet.put('overrides')
  await fleet.pass(1000)
  expect(fleet.announced).toEqual([{ by: 'a', document: 'overrides', number: 1 }])
  await fleet.pass(60_000)
  const tries = fleet.tried.filter((document) => document === 'config').length
  expect(tries).toBeGreaterThanOrEqual(4)
  expect(tries).toBeLessThanOrEqual(7)
  expect(lines.filter((line) => line.includes('could not'))).toEqual([
    'relay: config could not be announced, and is kept: the sync has not answered within 10 s',
  ])
  fleet.hangs = undefined
  await fleet.pass(20_000)
  expect(await fleet.waiting()).toEqual([])
  fleet.hangs = 'config'
  await fleet.put('config')
  await fleet.pass(1000)
  let hasEnded = false
  void relay.stop().then(() => {
    hasEnded = true
  })
  await fleet.pass(100)
  expect(hasEnded).toBe(true)
  expect(await fleet.waiting()).toEqual(['config'])
})

test('what nobody follows is noted and not announced, and holds nothing up when that fails', async () => {
  const fleet = new Fleet()
  for (let node = 0; node < 40; node++) await fleet.put(`node/lb-${node}`)
  await fleet.put('backups')
  const { relay, store } = await fleet.relay('a')
  const mark = store.markAnnounced.bind(store)
  store.markAnnounced = async (document, revision) => {
    if (document === 'node/lb-0') throw new MillraceError('MR_STORE_UNAVAILABLE', 'not this one')
    await mark(document, revision)
  }
  await fleet.put('config')
  await fleet.pass(500)
  expect(fleet.announced).toEqual([{ by: 'a', document: 'config', number: 1 }])
  expect(relay.state.announced).toBe(1)
  expect(await fleet.waiting()).toEqual(['node/lb-0'])
})

test('a change that comes after a failure, or while many others are dealt with, is not behind all of them', async () => {
  const fleet = new Fleet()
  for (let count = 0; count < 60; count++) await fleet.put(`node/lb-${count}`)
  const { store } = await fleet.relay('a')
  const mark = store.markAnnounced.bind(store)
  const marked: string[] = []
  store.markAnnounced = async (document, revision) => {
    if (marked.push(document) === 1) await fleet.put('config')
    await mark(document, revision)
  }
  await fleet.pass(100)
  expect(marked).toHaveLength(61)
  expect(marked.indexOf('config')).toBeLessThan(20)
})

test('while the store is away it is told once, and what waits is announced afterwards', async () => {
  const fleet = new Fleet()
  const { store, lines } = await fleet.relay('a')
  await fleet.pass(500)
  const { unannounced } = store
  let asked = 0
  store.unannounced = async () => {
    asked++
    throw new MillraceError('MR_STORE_UNAVAILABLE', 'the store is away')
  }
  await fleet.put('config')
  await fleet.pass(60_000)
  expect(asked).toBeLessThan(25)
  expect(lines.filter((line) => line.includes('outbox'))).toEqual([
    'relay: the outbox could not be read: the store is away',
  ])
  store.unannounced = unannounced
  await fleet.pass(8000)
  expect(fleet.announced).toHaveLength(1)
})

test('a relay that loses its lock in the middle announces no more of what it has read', async () => {
  const fleet = new Fleet()
  for (const document of ['config', 'other/w1', 'overrides']) await fleet.put(document)
  const { locks } = await fleet.relay('a')
  fleet.afterwards = () => locks[0].release()
  await fleet.pass(1000)
  expect(fleet.announced.map(({ document }) => document)).toEqual(['config'])
  expect(await fleet.waiting()).toEqual(['other/w1', 'overrides'])
  await fleet.pass(5000)
  expect(fleet.announced.map(({ document }) => document)).toEqual(['config', 'other/w1', 'overrides'])
})
