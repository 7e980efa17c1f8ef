/** The relay on a simulated store, in fake time: what it announces, when it fails, and who of several works. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { Relay } from '#core/config/sync/relay'
import type { Lock, RevisionRef } from '#core/contracts/index'
import { MillraceError } from '#core/host/errors'
import { openLock } from '#core/host/open-lock'
import { builtIn, PluginRegistry } from '#core/host/registry'
import { builtins } from '../../../plugins/manifest.ts'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime, seeded } from '../../conformance/time.ts'

const registry = new PluginRegistry()
for (const definition of builtins) registry.add(builtIn(definition))

interface Announced {
  readonly by: string
  readonly document: string
  readonly number: number
}

class Fleet {
  readonly time = new FakeTime()
  readonly data = new MemoryStore(this.time)
  readonly announced: Announced[] = []
  /** The next announcements fail: all, or of one document. */
  busDown: boolean | string = false
  /** Announcements of this document never end. */
  hangs: string | undefined
  /** Documents that were tried. */
  readonly tried: string[] = []
  /** Called when one was made. */
  afterwards: () => unknown = () => {}
  #writes = 0

  async relay(id: string) {
    const store = this.data.client(this.time.clock(id.length * 1000))
    const clock = this.time.clock()
    const lines: string[] = []
    const write = (message: string): void => void lines.push(message)
    const log = { debug() {}, info: write, warn: write, error: write }
    const random = seeded(id.charCodeAt(0))
    const self = { id, boot: 'b', role: 'lb', address: '', zone: '' } as const
    const lock = await openLock(
      { use: 'store', options: {}, path: 'lock' },
      { registry, store, fleet: 'default', self, clock, random, log },
    )
    const locks: Lock[] = []
    const relay = new Relay({
      ...{ store, clock, random, log, pollMs: 250, ttlMs: 5000, standbyMs: 3000 },
      locker: {
        acquire: async (...given) => {
          const got = await lock.locker.acquire(...given)
          if (got) locks.push(got)
          return got
        },
      },
      sync: { announce: (document, revision) => this.#announce(id, document, revision) },
      documents: ['config', 'overrides', 'other'],
    })
    relay.start()
    onTestFinished(async () => {
      const stopping = Promise.all([relay.stop(), lock.stop()])
      await this.pass(10_000)
      await stopping
    })
    return { relay, store, lines, locks }
  }

  pass(ms: number): Promise<void> {
    return this.time.advanceAsync(ms)
  }

  async put(document: string): Promise<void> {
    const head = this.data.documents.get(document)?.history[0]
    const id = `write-${++this.#writes}`
    await this.data
      .client()
      .put(document, Buffer.from(id), head?.revision ?? null, id, { by: 'a writer that announces nothing' })
  }

  async waiting(): Promise<string[]> {
    return (await this.data.client().unannounced()).map(({ document }) => document)
  }

  async #announce(by: string, document: string, { number }: RevisionRef): Promise<void> {
    this.tried.push(document)
    if (this.busDown === true || this.busDown === document)
      throw new MillraceError('MR_STORE_UNAVAILABLE', 'the bus is away')
    if (this.hangs === document) await new Promise<never>(() => {})
    this.announced.push({ by, document, number })
    await this.afterwards()
  }
}

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

describe('of two', () => {
  test('one works, and the other takes over when it is cut off: never both', async () => {
    const fleet = new Fleet()
    const both = [await fleet.relay('a')]
    await fleet.pass(1000)
    both.push(await fleet.relay('bb'))
    const valid = (): number => both.filter(({ locks }) => locks.some((lock) => lock.valid())).length
    for (let round = 0; round < 5; round++) {
      await fleet.put('config')
      await fleet.pass(2000)
      expect(valid()).toBe(1)
    }
    expect(fleet.announced.map(({ by }) => by)).toEqual(['a', 'a', 'a', 'a', 'a'])
    both[0].store.cut = true
    await fleet.put('config')
    for (let waited = 0; waited < 10_000 && fleet.announced.length < 6; waited += 50) {
      await fleet.pass(50)
      expect(valid()).toBeLessThan(2)
    }
    expect(fleet.announced.at(-1)).toEqual({ by: 'bb', document: 'config', number: 6 })
    expect(both.map(({ relay }) => relay.state.working)).toEqual([false, true])
    expect(both[0].lines.at(-1)).toMatch(/announces no more/)
    both[0].store.cut = false
    await fleet.put('config')
    await fleet.pass(10_000)
    expect(fleet.announced.at(-1)?.by).toBe('bb')
    expect(both[0].relay.state.working).toBe(false)
  })

  test('one that is stopped gives the work to the other at its next try', async () => {
    const fleet = new Fleet()
    const first = await fleet.relay('a')
    await fleet.pass(500)
    await fleet.relay('bb')
    const stopping = first.relay.stop()
    await fleet.pass(4000)
    await stopping
    await fleet.put('config')
    await fleet.pass(500)
    expect(fleet.announced).toEqual([{ by: 'bb', document: 'config', number: 1 }])
  })

  test('standing by costs one call of the store every three seconds', async () => {
    const fleet = new Fleet()
    await fleet.relay('a')
    await fleet.pass(500)
    const { store } = await fleet.relay('bb')
    let calls = 0
    const lease = store.lease.bind(store)
    store.lease = (...given) => {
      calls++
      return lease(...given)
    }
    store.unannounced = async () => {
      throw new Error('who stands by does not look')
    }
    await fleet.pass(60_000)
    expect(calls).toBeGreaterThanOrEqual(15)
    expect(calls).toBeLessThanOrEqual(27)
  })
})
