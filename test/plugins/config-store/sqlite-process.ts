/** A process of its own that uses a SQLite store: `node sqlite-process.ts WHAT FOLDER`. Says in lines of JSON what it did. */

import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { RevisionRef } from '../../../core/contracts/index.ts'
import { openStore } from '../../../core/host/open-store.ts'
import { builtIn, PluginRegistry } from '../../../core/host/registry.ts'
import { builtins } from '../../../plugins/manifest.ts'

const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`)

async function open(data: string) {
  const registry = new PluginRegistry()
  for (const plugin of builtins) registry.add(builtIn(plugin))
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const node = { id: `p${process.pid}`, boot: String(process.pid) }
  const use = { use: 'sqlite', options: {}, path: 'store' }
  return await openStore(use, { registry, fleet: 'default', node, data, random: Math.random, log })
}

const acts: Record<string, (data: string, count: number) => Promise<unknown>> = {
  /** Adds one to a number, so many times, against others who do the same. */
  async count(data, count) {
    const { store, stop } = await open(data)
    for (let done = 0; done < count; ) {
      const head = await store.get('counter')
      const next = Number(Buffer.from(head?.value ?? '0').toString()) + 1
      const written = await store.put(
        'counter',
        Buffer.from(String(next)),
        head?.revision ?? null,
        randomUUID(),
        {
          by: String(process.pid),
        },
      )
      if (written.status === 'committed') done++
    }
    await stop()
  },
  /** Writes until it is killed; says which writes were acknowledged, and each before it is sent. */
  async write(data) {
    const { store } = await open(data)
    let head: RevisionRef | null = (await store.get('config'))?.revision ?? null
    for (;;) {
      const id = randomUUID()
      say({ sent: id, expect: head })
      const written = await store.put('config', Buffer.alloc(100_000, id), head, id, { by: 'writer' })
      if (written.status !== 'committed') throw new Error(written.status)
      head = written.revision
      say({ acknowledged: head })
    }
  },
  /** Takes a lease and keeps it until it is killed. */
  async lease(data, ttlMs) {
    const { store } = await open(data)
    const lease = await store.lease('relay', 'a process', ttlMs)
    say({ token: lease?.token })
    setInterval(() => void lease?.renew(), ttlMs / 3)
  },
  /** Holds the lock of writers until its input ends. */
  async lock(data) {
    const database = new DatabaseSync(path.join(data, 'store.db'))
    database.exec('BEGIN IMMEDIATE')
    say('locked')
    for await (const _ of process.stdin);
    database.exec('ROLLBACK')
  },
  /** Writes, larger and larger, until it fails; says how. */
  async fill(data) {
    const { store, stop } = await open(data)
    let head: RevisionRef | null = null
    for (;;) {
      const id = randomUUID()
      const put = store.put('config', Buffer.alloc(50_000, id), head, id, { by: 'writer' })
      const result = await put.catch((error: { code: string; message: string }) => ({
        status: 'rejected' as const,
        cause: error,
      }))
      if (result.status === 'committed') head = result.revision
      else {
        const { code, message } = ('cause' in result ? result.cause : {}) as {
          code?: string
          message?: string
        }
        const read = await store.get('config').catch((error: { code: string }) => error.code)
        say({
          status: result.status,
          code,
          message,
          head,
          read: typeof read === 'string' ? read : read?.revision,
        })
        break
      }
    }
    await stop()
  },
}

const [what, data, count] = process.argv.slice(2)
await acts[what](data, Number(count))
