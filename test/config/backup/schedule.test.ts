/** Backups by themselves, in simulated time: when, by whom, and what happens when they fail. */
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BackupTarget } from '#core/config/backup/directory'
import { BackupSchedule } from '#core/config/backup/schedule'
import type { Backup } from '#core/config/backup/take'
import { MillraceError } from '#core/host/errors'
import { openLock } from '#core/host/open-lock'
import { builtIn, PluginRegistry } from '#core/host/registry'
import { builtins } from '../../../plugins/manifest.ts'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime, seeded } from '../../conformance/time.ts'

const registry = new PluginRegistry()
for (const definition of builtins) registry.add(builtIn(definition))

const minute = 60_000
const day = 24 * 60 * minute

interface Made {
  readonly by: string
  readonly kind: string
  /** Days since the start. */
  readonly day: number
  readonly backup: Backup
}

class Fleet {
  readonly time = new FakeTime()
  readonly data = new MemoryStore(this.time)
  readonly made: Made[] = []
  readonly dropped: [fleet: string, keep: number][] = []
  /** What the place for backups says. */
  fault: MillraceError | undefined
  #writes = 0

  async node(id: string) {
    const store = this.data.client()
    const clock = this.time.clock()
    const lines: string[] = []
    const write = (message: string): void => void lines.push(message)
    const log = { debug() {}, info() {}, warn: write, error: write }
    const random = seeded(id.charCodeAt(0))
    const self = { id, boot: 'b', role: 'lb', address: '', zone: '' } as const
    const lock = await openLock(
      { use: 'store', options: {}, path: 'lock' },
      { registry, store, fleet: 'default', self, clock, random, log },
    )
    const schedule = new BackupSchedule({
      ...{ store, locker: lock.locker, target: this.#target(id), clock, random, log, node: id },
      ...{ fleet: 'default', incrementalMs: day, fullMs: 7 * day, keep: 5 },
      newId: () => `${id}-${++this.#writes}-0123456789abcdef`,
    })
    schedule.start()
    const state = () => schedule.state
    const stop = async (): Promise<void> => {
      const stopping = Promise.all([schedule.stop(), lock.stop()])
      await this.time.advanceAsync(minute)
      await stopping
    }
    onTestFinished(stop)
    return { store, lines, stop, state }
  }

  /** Whole days would take many steps: timers are few. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 10 * minute)
      await this.time.advanceAsync(Math.min(left, 10 * minute))
  }

  async put(text: string): Promise<void> {
    const head = this.data.documents.get('config')?.history[0]
    const id = `write-${++this.#writes}`
    await this.data.client().put('config', Buffer.from(text), head?.revision ?? null, id, { by: 'ann' })
  }

  get note(): { failed?: { node: string; reason: string }; last?: { name: string } } {
    const value = this.data.documents.get('backups')?.history[0].value
    return JSON.parse(Buffer.from(value ?? '{}').toString())
  }

  #target(by: string): BackupTarget {
    return {
      place: 'the test',
      write: async (backup) => {
        if (this.fault) throw this.fault
        this.made.push({ by, kind: backup.header.kind, day: this.time.elapsed / day, backup })
      },
      prune: async (fleet, keep) => {
        this.dropped.push([fleet, keep])
        return []
      },
    }
  }
}

test('a full one at once, an incremental one each day, a full one each week', async () => {
  const fleet = new Fleet()
  await fleet.put('one')
  await fleet.node('a')
  await fleet.pass(15.5 * day)
  const days = fleet.made.map(({ kind, day }) => `${kind} ${Math.round(day)}`)
  const incrementals = (from: number) => [1, 2, 3, 4, 5, 6].map((more) => `incremental ${from + more}`)
  expect(days).toEqual([
    'full 0',
    ...incrementals(0),
    'full 7',
    ...incrementals(7),
    'full 14',
    'incremental 15',
  ])
  for (const { day } of fleet.made) expect(Math.abs(day - Math.round(day))).toBeLessThan(0.1)
  expect(fleet.made[3].backup.header.base?.name).toBe(fleet.made[2].backup.name)
  expect(fleet.note.last?.name).toBe(fleet.made.at(-1)?.backup.name)
  expect(fleet.dropped).toHaveLength(fleet.made.length)
  expect(fleet.dropped[0]).toEqual(['default', 5])
})

test('a store without a config is none yet: its first is backed up within minutes', async () => {
  const fleet = new Fleet()
  const { lines } = await fleet.node('a')
  await fleet.pass(day)
  expect([fleet.made, lines]).toEqual([[], []])
  await fleet.put('one')
  await fleet.pass(10 * minute)
  expect(fleet.made).toHaveLength(1)
})

describe('of several nodes', () => {
  test('one makes each backup; where it is gone another goes on', async () => {
    const fleet = new Fleet()
    await fleet.put('one')
    const nodes = [await fleet.node('a'), await fleet.node('b'), await fleet.node('c')]
    await fleet.pass(2.5 * day)
    expect(fleet.made.map(({ kind }) => kind)).toEqual(['full', 'incremental', 'incremental'])
    const last = 'abc'.indexOf(fleet.made[2].by)
    await nodes[last].stop()
    await fleet.pass(day)
    expect(fleet.made).toHaveLength(4)
    expect(fleet.made[3].by).not.toBe(fleet.made[2].by)
    expect(fleet.made[3].backup.header.base?.name).toBe(fleet.made[2].backup.name)
  })

  test('one that is cut off while it makes one does not keep the others from it', async () => {
    const fleet = new Fleet()
    await fleet.put('one')
    const first = await fleet.node('a')
    const lineage = first.store.lineage.bind(first.store)
    first.store.lineage = async () => {
      first.store.cut = true
      return await lineage()
    }
    await fleet.pass(minute)
    expect(fleet.made).toEqual([])
    await fleet.node('b')
    await fleet.pass(15 * minute)
    expect(fleet.made.map(({ by, kind }) => [by, kind])).toEqual([['b', 'full']])
  })
})

test('one that fails is told and noted with who and why, tried again, and then forgotten', async () => {
  const fleet = new Fleet()
  await fleet.put('one')
  fleet.fault = new MillraceError('MR_BACKUP', 'there is no room for it (ENOSPC)')
  const { lines, state } = await fleet.node('a')
  const other = await fleet.node('b')
  await fleet.pass(20 * minute)
  expect(fleet.made).toEqual([])
  expect(state()).toEqual({ madeAt: undefined, failing: true })
  expect(lines[0]).toBe('backup: none could be made, and it is tried again: there is no room for it (ENOSPC)')
  expect(lines.length).toBeGreaterThan(1)
  expect(fleet.note.failed).toMatchObject({ reason: 'there is no room for it (ENOSPC)' })
  expect(['a', 'b']).toContain(fleet.note.failed?.node)
  fleet.fault = undefined
  await fleet.pass(10 * minute)
  expect(fleet.made).toHaveLength(1)
  expect(fleet.note.failed).toBe(undefined)
  for (const each of [state(), other.state()])
    expect(each).toEqual({ madeAt: fleet.made[0].backup.header.at, failing: false })
})

test('a note of failure takes nothing away from what another node has made meanwhile', async () => {
  const fleet = new Fleet()
  await fleet.put('one')
  fleet.fault = new MillraceError('MR_BACKUP', 'there is no room for it (ENOSPC)')
  const { store, lines } = await fleet.node('a')
  const get = store.get.bind(store)
  const success = {
    last: { name: 'of b', at: fleet.time.clock().wall(), lineage: 'l', heads: {}, sha256: '' },
  }
  let written = false
  store.get = async (...given) => {
    const found = await get(...given)
    // It has read what it puts its note on, and before the note comes the other's success.
    if (lines.length > 0 && !written) {
      written = true
      const value = Buffer.from(JSON.stringify(success))
      await fleet.data
        .client()
        .put('backups', value, found?.revision ?? null, 'b-0123456789abcdef', { by: 'b' })
    }
    return found
  }
  await fleet.pass(minute)
  expect(written).toBe(true)
  expect(fleet.note).toEqual(success)
})

test('what a newer version has noted is not replaced: no backup is made, and that is told', async () => {
  const fleet = new Fleet()
  await fleet.put('one')
  const newer = { by: 'a', schema: 2 }
  await fleet.data.client().put('backups', Buffer.from('{"form":"new"}'), null, 'newer-0123456789', newer)
  const { lines, state } = await fleet.node('a')
  await fleet.pass(20 * minute)
  expect(fleet.made).toEqual([])
  expect(state().failing).toBe(true)
  expect(lines[0]).toMatch(
    /^backup: none could be made, and it is tried again: the document backups of the store is written in schema 2/,
  )
  expect(fleet.data.documents.get('backups')?.history).toHaveLength(1)
})

test('a time in the far future, by somebody’s wrong clock, does not end backups', async () => {
  const fleet = new Fleet()
  await fleet.put('one')
  const future = fleet.time.clock().wall() + 900 * day
  const last = { name: 'b', at: future, lineage: 'lineage-1', heads: {}, sha256: '' }
  const wrong = { fullAt: future, last }
  await fleet.data
    .client()
    .put('backups', Buffer.from(JSON.stringify(wrong)), null, 'wrong-0123456789', { by: 'a' })
  await fleet.node('a')
  await fleet.pass(10 * minute)
  expect(fleet.made.map(({ kind }) => kind)).toEqual(['full'])
})
