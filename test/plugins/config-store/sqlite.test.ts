/** What the conformance kit cannot do: several processes, and what becomes of the file. */
import { copyFileSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { maxValueBytes, type Revision, type RevisionRef } from 'millrace'
import { describe, expect, test } from 'vitest'
import { until } from '../../harness/until.ts'
import { newFolder, openSqlite, put, startProcess } from './sqlite-world.ts'

const unavailable = expect.objectContaining({ code: 'MR_STORE_UNAVAILABLE' })
const dataFault = (message: RegExp) =>
  expect.objectContaining({ code: 'MR_STORE_DATA', message: expect.stringMatching(message) })

describe('several processes', () => {
  test('compete for one document, and no acknowledged write is lost', async () => {
    const folder = newFolder()
    const ended = await Promise.all([1, 2, 3].map(() => startProcess('count', folder, 40).ended))
    expect(ended).toEqual(ended.map(() => ({ code: 0, err: '' })))
    const { store } = await openSqlite(folder)
    const counter = await store.get('counter')
    expect(Buffer.from(counter?.value ?? '').toString()).toBe('120')
    expect(counter?.revision.number).toBe(120)
    const history = await store.history('counter')
    const writers = new Set(history.map(({ note }) => note.by))
    expect(writers.size).toBeGreaterThan(1)
  })

  test('tell each other of writes', async () => {
    const folder = newFolder()
    const { store } = await openSqlite(folder)
    const hints: (RevisionRef | undefined)[] = []
    let state = 'down'
    const watch = store.watch?.(['counter'], {
      hint: (_document, revision) => void hints.push(revision),
      bus: (now) => {
        state = now
      },
    })
    await until('the watch is up', () => state === 'up')
    await startProcess('count', folder, 3).ended
    await until('the last write is hinted at', () => hints.at(-1)?.number === 3)
    watch?.close()
  })

  test('killed in the middle of writes: what was acknowledged is there, what was not is settled', async () => {
    const folder = newFolder()
    for (let round = 0; round < 3; round++) {
      const writer = startProcess('write', folder)
      const acknowledged = () => writer.said.filter((line) => line.acknowledged !== undefined)
      await until('it has written', () => acknowledged().length >= 12)
      await writer.kill()
      const last = acknowledged().at(-1)?.acknowledged as Revision
      const { store, stop } = await openSqlite(folder)
      const history = await store.history('config', { limit: 1000 })
      expect(history.map(({ revision }) => revision)).toContainEqual(last)
      expect(history[0].revision.number - last.number).toBeLessThanOrEqual(1)
      const { sent, expect: before } = writer.said.filter((line) => line.sent !== undefined).at(-1) as {
        sent: string
        expect: RevisionRef | null
      }
      const again = await store.put('config', Buffer.alloc(100_000, sent), before, sent, { by: 'writer' })
      expect(again).toMatchObject({ status: 'committed', revision: { id: sent } })
      const head = await store.get('config')
      expect(head?.revision.id).toBe(sent)
      expect(Buffer.compare(head?.value ?? Buffer.alloc(0), Buffer.alloc(100_000, sent))).toBe(0)
      await stop()
      const database = new DatabaseSync(path.join(folder, 'store.db'))
      expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
      database.close()
    }
  })

  test('a lease outlives its killed holder until it lapses, and the next token is greater', async () => {
    const folder = newFolder()
    const holder = startProcess('lease', folder, 1500)
    await until('it has the lease', () => holder.said.length > 0)
    const { store } = await openSqlite(folder)
    expect(await store.lease('relay', 'another', 1500)).toBeUndefined()
    await holder.kill()
    expect(await store.lease('relay', 'another', 1500)).toBeUndefined()
    let next: Awaited<ReturnType<typeof store.lease>>
    while (next === undefined) next = await store.lease('relay', 'another', 1500)
    const first = (holder.said[0] as { token: { number: number } }).token
    expect(next.token.number).toBeGreaterThan(first.number)
  })

  test('a lock that another process holds: reads go on, a write says in time that it could not be made', async () => {
    const folder = newFolder()
    const { store } = await openSqlite(folder, { timeout: '600ms' })
    const first = await put(store, 'one', null)
    const locker = startProcess('lock', folder)
    await until('it is locked', () => locker.said.length > 0)
    const second = put(store, 'two', (first as { revision: Revision }).revision)
    expect((await store.get('config'))?.revision.number).toBe(1)
    await expect(second).rejects.toEqual(unavailable)
    const third = put(store, 'three', (first as { revision: Revision }).revision)
    locker.child.stdin?.end()
    expect(await third).toMatchObject({ status: 'committed', revision: { number: 2 } })
  })
})

describe('time', () => {
  test('a restart of the machine ends every lease; tokens go on rising', async () => {
    const folder = newFolder()
    const { store } = await openSqlite(folder)
    const before = await store.lease('relay', 'one', 600_000)
    expect(await store.lease('relay', 'two', 600_000)).toBeUndefined()
    const database = new DatabaseSync(path.join(folder, 'store.db'))
    database.exec("UPDATE leases SET boot = 'the boot before'")
    expect(await store.leases('')).toEqual([])
    expect(await before?.renew()).toBe(false)
    const after = await store.lease('relay', 'two', 600_000)
    expect(after?.token.number).toBeGreaterThan(before?.token.number ?? 0)
    // Where boots have no id: a clock that began again leaves times that are too far ahead.
    database.exec('UPDATE leases SET until = until + 86400000')
    expect(await store.lease('relay', 'three', 1000)).toBeDefined()
    database.close()
  })

  test('tokens rise over an older copy of the file that was put in its place, which is of the same lineage', async () => {
    const folder = newFolder()
    const [file, copy] = ['store.db', 'copy.db'].map((name) => path.join(folder, name))
    const take = async (name: string) => {
      const { store, stop } = await openSqlite(folder)
      const lease = await store.lease(name, 'me', 1000)
      await stop()
      return lease?.token ?? { lineage: '', number: Number.NaN }
    }
    await take('relay')
    copyFileSync(file, copy)
    let last = await take('relay')
    for (let n = 0; n < 5; n++) last = await take(`other-${n}`)
    renameSync(copy, file)
    const after = await take('another')
    expect(after.lineage).toBe(last.lineage)
    expect(after.number).toBeGreaterThan(last.number)
    expect(Number.isSafeInteger(after.number)).toBe(true)
  })

  test('a shorter time to live does not shorten what the holder has', async () => {
    const { store } = await openSqlite(newFolder())
    const long = await store.lease('relay', 'one', 600_000)
    await store.lease('relay', 'one', 100)
    await store.lease('beside', 'one', 100)
    let beside: Awaited<ReturnType<typeof store.lease>>
    while (beside === undefined) beside = await store.lease('beside', 'two', 100)
    expect(long?.valid()).toBe(true)
    expect(await store.lease('relay', 'two', 1000)).toBeUndefined()
  })
})

describe('values', () => {
  test('a config of 10,000 backends in 100 services fits, as does the longest value', async () => {
    const { store } = await openSqlite(newFolder())
    const services = Object.fromEntries(
      Array.from({ length: 100 }, (_, service) => [
        `service-${service}`,
        {
          backends: Array.from({ length: 100 }, (_, backend) => ({
            url: `http://10.${service}.${backend}.1:8080`,
            weight: 1 + (backend % 7),
            zone: `zone-${backend % 3}`,
          })),
        },
      ]),
    )
    const text = JSON.stringify({ services })
    const first = await put(store, zstdCompressSync(text), null)
    const read = await store.get('config')
    expect(zstdDecompressSync(read?.value ?? Buffer.alloc(0)).toString()).toBe(text)
    const longest = Buffer.alloc(maxValueBytes, 'millrace')
    await put(store, longest, (first as { revision: Revision }).revision)
    const whole = (await store.get('config'))?.value
    expect(whole && Buffer.compare(whole, longest)).toBe(0)
  })

  test('history keeps 16 MiB of values, and no more than it must', async () => {
    const { store } = await openSqlite(newFolder())
    let head: Revision | null = null
    for (let i = 0; i < 24; i++) {
      const written = await put(store, Buffer.alloc(2 ** 20, i), head)
      head = (written as { revision: Revision }).revision
    }
    const history = await store.history('config')
    expect(history.map(({ revision }) => revision.number)).toEqual(
      Array.from({ length: 16 }, (_, i) => 24 - i),
    )
  })
})

describe('the file', () => {
  test('is made with its folder, for its owner only', async () => {
    const folder = path.join(newFolder(), 'a', 'b')
    const { store } = await openSqlite(folder)
    await put(store, 'x', null)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    for (const name of ['store.db', 'store.db-wal', 'store.db-shm'])
      expect([name, statSync(path.join(folder, name)).mode & 0o777]).toEqual([name, 0o600])
  })

  test('of a newer version, of another program, or damaged is refused and left as it is', async () => {
    const refused = async (fill: (file: string) => void, message: RegExp): Promise<void> => {
      const folder = newFolder()
      const file = path.join(folder, 'store.db')
      fill(file)
      const before = readFileSync(file)
      const { store } = await openSqlite(folder)
      await expect(store.get('config')).rejects.toEqual(dataFault(message))
      await expect(put(store, 'x', null)).rejects.toEqual(dataFault(message))
      expect(Buffer.compare(readFileSync(file), before)).toBe(0)
    }
    const sql = (text: string) => (file: string) => {
      const database = new DatabaseSync(file)
      database.exec(text)
      database.close()
    }
    const id = 0x4d696c6c
    await refused(sql(`PRAGMA application_id = ${id}; PRAGMA user_version = 99`), /version 99.*newer/)
    await refused(sql('CREATE TABLE theirs (a)'), /another program's/)
    await refused((file) => writeFileSync(file, 'no database at all, but text '.repeat(100)), /damaged/)
  })

  test('that is damaged while it is used says so', async () => {
    const folder = newFolder()
    const file = path.join(folder, 'store.db')
    const first = await openSqlite(folder)
    for (let i = 0; i < 20; i++) await put(first.store, Buffer.alloc(20_000, i), null, `d${i}`)
    await first.stop()
    const bytes = readFileSync(file)
    bytes.fill(0xa5, 4096)
    writeFileSync(file, bytes)
    const { store } = await openSqlite(folder)
    await expect(store.heads('')).rejects.toEqual(dataFault(/damaged/))
  })

  test('that was taken away is missed, not begun anew; put back, it serves again', async () => {
    const folder = newFolder()
    const file = path.join(folder, 'store.db')
    const { store } = await openSqlite(folder)
    await put(store, 'x', null)
    const lineage = await store.lineage()
    renameSync(file, `${file}.away`)
    await expect(store.get('config')).rejects.toEqual(unavailable)
    await expect(put(store, 'y', null)).rejects.toEqual(unavailable)
    renameSync(`${file}.away`, file)
    expect((await store.get('config'))?.revision.number).toBe(1)
    expect(await store.lineage()).toBe(lineage)
  })

  test('another in its place is another lineage', async () => {
    const [folder, elsewhere] = [newFolder(), newFolder()]
    const other = await openSqlite(elsewhere)
    await put(other.store, 'other', null)
    const theirs = await other.store.lineage()
    await other.stop()
    const { store } = await openSqlite(folder)
    await put(store, 'x', null)
    const ours = await store.lineage()
    renameSync(path.join(elsewhere, 'store.db'), path.join(folder, 'store.db'))
    for (const rest of ['-wal', '-shm'])
      renameSync(path.join(folder, `store.db${rest}`), path.join(elsewhere, rest))
    expect(await store.lineage()).toBe(theirs)
    expect(theirs).not.toBe(ours)
    expect(Buffer.from((await store.get('config'))?.value ?? '').toString()).toBe('other')
  })

  test('on a full disk a write fails, and what was there stays readable', async () => {
    const folder = newFolder()
    // 512-byte blocks: files of this process cannot grow over 1 MiB.
    const filler = startProcess('fill', folder, 0, "trap '' XFSZ; ulimit -f 2048")
    expect(await filler.ended).toEqual({ code: 0, err: '' })
    const [{ status, code, head, read }] = filler.said as { [key: string]: unknown }[]
    expect(['rejected', 'unknown']).toContain(status)
    expect(code).toBe('MR_STORE_UNAVAILABLE')
    expect((head as Revision).number).toBeGreaterThan(3)
    expect(read).toEqual(head)
    const { store } = await openSqlite(folder)
    expect((await store.get('config'))?.revision).toEqual(head)
  })
})

test('what stops rejects its calls, and its leases are not valid any more', async () => {
  const folder = newFolder()
  const { store, stop } = await openSqlite(folder)
  const first = await put(store, 'x', null)
  const lease = await store.lease('relay', 'one', 60_000)
  const reads = Promise.allSettled([store.get('config'), store.heads('')])
  const write = put(store, 'y', (first as { revision: Revision }).revision)
  await stop()
  for (const read of await reads) expect(read).toEqual({ status: 'rejected', reason: unavailable })
  const written = await write
  expect(lease?.valid()).toBe(false)
  await expect(store.get('config')).rejects.toEqual(unavailable)
  const again = await openSqlite(folder)
  const head = (await again.store.get('config'))?.revision
  expect(written).toEqual({ status: 'committed', revision: head })
  expect(await again.store.lease('relay', 'two', 1000)).toBeUndefined()
})
