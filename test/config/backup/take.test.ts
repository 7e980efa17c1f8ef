/** What is in a backup, and which backups are refused. */
import { describe, expect, test } from 'vitest'
import { encodeBackup, headIn, parseBackup } from '#core/config/backup/format'
import { baseOf, kindOfName, nameOf, takeBackup } from '#core/config/backup/take'
import type { MemoryClient } from '../../conformance/memory-store.ts'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime } from '../../conformance/time.ts'

const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678)

class Store {
  readonly data = new MemoryStore(new FakeTime())
  readonly client: MemoryClient = this.data.client()
  #writes = 0

  async put(document: string, text: string | null): Promise<void> {
    const head = this.data.documents.get(document)?.history[0]
    const value = text === null ? null : Buffer.from(text)
    const id = `write-${++this.#writes}`
    const note = { by: 'ann', message: `makes ${text}` }
    const result = await this.client.put(document, value, head?.revision ?? null, id, note)
    expect(result.status).toBe('committed')
  }
}

const take = (store: Store, base?: Parameters<typeof takeBackup>[0]['base']) =>
  takeBackup({ store: store.client, fleet: 'shop', at, base })

async function taken(store: Store, base?: Parameters<typeof takeBackup>[0]['base']) {
  const backup = await take(store, base)
  if (!backup) throw new Error('nothing was there')
  return { backup, parsed: parseBackup(backup.bytes, backup.name) }
}

const numbers = (revisions: readonly { document: string; revision: { number: number } }[]) =>
  revisions.map(({ document, revision }) => `${document} ${revision.number}`)

describe('a full backup', () => {
  test('holds the config and the overrides with their history, and nothing of what nodes say of themselves', async () => {
    const store = new Store()
    for (const text of ['one', 'two', null, 'four']) await store.put('config', text)
    await store.put('overrides', '{}')
    await store.put('node/lb-1', 'x')
    await store.put('health/w1', 'x')
    const { backup, parsed } = await taken(store)
    expect(backup.name).toBe('millrace-shop-2026-01-02T03-04-05-678Z-full.ndjson')
    expect(parsed.header).toMatchObject({ kind: 'full', fleet: 'shop', lineage: 'lineage-1', at })
    expect(numbers(parsed.revisions)).toEqual(['config 4', 'config 3', 'config 2', 'config 1', 'overrides 1'])
    const kept = store.data.documents.get('config')?.history ?? []
    for (const [index, one] of parsed.revisions.slice(0, 4).entries()) {
      expect(one).toMatchObject({ revision: kept[index].revision, at: kept[index].at, note: { by: 'ann' } })
      expect(one.value && Buffer.from(one.value).toString()).toBe(['four', null, 'two', 'one'][index])
      expect(one.tombstone).toBe(index === 1)
    }
    expect(headIn(parsed, 'config')?.revision.number).toBe(4)
    expect(headIn(parsed, 'overrides')?.revision.number).toBe(1)
    expect(headIn(parsed, 'node/lb-1')).toBe(undefined)
  })

  test('of a store that holds neither is none', async () => {
    const store = new Store()
    await store.put('node/lb-1', 'x')
    let asked = 0
    store.client.lineage = async () => `lineage-${++asked}`
    expect(await take(store)).toBe(undefined)
    // That would begin the fleet, where it is only a slip in its name.
    expect(asked).toBe(0)
  })

  test('of a store that is replaced while it is read is refused', async () => {
    const store = new Store()
    await store.put('config', 'one')
    let asked = 0
    store.client.lineage = async () => `lineage-${++asked}`
    await expect(take(store)).rejects.toMatchObject({ code: 'MR_BACKUP' })
  })
})

describe('an incremental backup', () => {
  test('holds what is new, and every head, so that it can be restored by itself', async () => {
    const store = new Store()
    for (const text of ['one', 'two']) await store.put('config', text)
    await store.put('overrides', '{}')
    const { backup: first } = await taken(store)
    for (const text of ['three', 'four']) await store.put('config', text)
    const { backup, parsed } = await taken(store, baseOf(first))
    expect(parsed.header.kind).toBe('incremental')
    expect(parsed.header.base?.name).toBe(first.name)
    expect(numbers(parsed.revisions)).toEqual(['config 4', 'config 3', 'overrides 1'])
    const { parsed: third } = await taken(store, baseOf(backup))
    expect(numbers(third.revisions)).toEqual(['config 4', 'overrides 1'])
    expect(third.header.base?.name).toBe(backup.name)
  })

  test('is a full one where the store does not go on from the base', async () => {
    const store = new Store()
    for (const text of ['one', 'two']) await store.put('config', text)
    const { backup } = await taken(store)
    const base = baseOf(backup)
    expect((await taken(store, { ...base, lineage: 'another' })).parsed.header.kind).toBe('full')
    // What a promoted replica has: the number again, with another content.
    store.data.documents.get('config')?.history.shift()
    await store.put('config', 'another two')
    const { parsed } = await taken(store, base)
    expect([parsed.header.kind, parsed.header.base]).toEqual(['full', undefined])
    expect(numbers(parsed.revisions)).toEqual(['config 2', 'config 1'])
  })
})

describe('what is no whole backup is refused, and says why', () => {
  const refused = (bytes: Buffer, message: RegExp): void =>
    expect(() => parseBackup(bytes, 'b.ndjson')).toThrow(
      expect.objectContaining({ code: 'MR_BACKUP', message: expect.stringMatching(message) }),
    )
  const whole = async (): Promise<Buffer> => {
    const store = new Store()
    for (const text of ['one', 'two']) await store.put('config', text)
    return (await taken(store)).backup.bytes
  }

  test('cut off, wherever that was', async () => {
    const bytes = await whole()
    for (let length = bytes.length - 1; length > 30; length -= 7)
      refused(bytes.subarray(0, length), /^b\.ndjson: the backup is cut off/)
    refused(Buffer.alloc(0), /the backup is empty/)
  })

  test('changed in any byte', async () => {
    const bytes = await whole()
    const last = bytes.lastIndexOf('{"end"')
    for (let place = 40; place < last; place += 11) {
      const damaged = Buffer.from(bytes)
      damaged[place] ^= 1
      refused(damaged, /checksum of the backup is wrong|version|no backup/)
    }
    const other = Buffer.from(bytes.toString().replace(/"sha256":"./, '"sha256":"g'))
    refused(other, /checksum of the backup is wrong/)
  })

  test('something else, or of a newer version', async () => {
    refused(Buffer.from('routes: []\n'), /this is no backup of millrace/)
    refused(Buffer.from('{"services":{}}\n'), /this is no backup of millrace/)
    const newer = (await whole()).toString().replace('"version":1', '"version":2')
    refused(Buffer.from(newer), /version 2.*use a newer one/)
  })

  test('one whose sum is right and whose content is not', async () => {
    const { header, revisions } = parseBackup(await whole(), 'b')
    for (const fleet of ['', 'shop\u001b[2J'])
      refused(encodeBackup({ ...header, fleet }, revisions), /cannot be understood/)
  })
})

test('names sort by time and say what they are; of another fleet they are not ours', () => {
  const names = [1, 2, 3].map((day) => nameOf({ fleet: 'a-b', at: Date.UTC(2026, 9, day), kind: 'full' }))
  expect([...names].sort()).toEqual(names)
  expect(kindOfName(names[0], 'a-b')).toBe('full')
  expect(kindOfName(names[0], 'a')).toBe(undefined)
  expect(kindOfName('notes.txt', 'a')).toBe(undefined)
})
