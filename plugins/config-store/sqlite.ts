import { resolve } from 'node:path'
import {
  type ConfigStore,
  type Document,
  definePlugin,
  duration,
  type Head,
  type Lease,
  type LeaseInfo,
  type PutResult,
  type RevisionRef,
  type StoreContext,
  type WatchListener,
  type WriteNote,
  z,
} from 'millrace'
import { HeldLease, Holdings } from '../lib/held-lease.ts'
import type { Change } from '../lib/sqlite/messages.ts'
import { DatabaseThread } from '../lib/sqlite/thread-client.ts'
import { checkLease, checkName, checkWrite } from '../lib/store-checks.ts'

/**
 * A config store in one SQLite file, for the processes of one host. Every commit is synced to the disk before it is
 * acknowledged. Leases are counted by the machine's monotonic clock and end when the machine restarts.
 */
export default definePlugin({
  api: 1,
  kind: 'config-store',
  name: 'sqlite',
  description: 'Config in a SQLite file, for the processes of one host.',
  options: z.strictObject({
    path: z
      .string()
      .min(1)
      .default('store.db')
      .describe(
        'The file; relative to node.data. It, and folders that are missing, are made with access for their owner only',
      ),
    timeout: duration
      .refine((ms) => ms >= 100, 'expected at least 100ms')
      .prefault('5s')
      .describe("How long a call may take, waiting for other processes' locks included"),
  }),
  create: (context, { path, timeout }) => new SqliteStore(context, resolve(context.data, path), timeout),
})

interface Watcher {
  readonly prefixes: readonly string[]
  readonly listener: WatchListener
}

class SqliteStore implements ConfigStore {
  readonly #context: StoreContext
  readonly #thread: DatabaseThread
  readonly #holdings = new Holdings()
  /** Those that are up. */
  readonly #watchers = new Set<Watcher>()
  /** Those that are not closed. */
  #watching = 0

  constructor(context: StoreContext, path: string, timeoutMs: number) {
    this.#context = context
    this.#thread = new DatabaseThread(context, path, timeoutMs, {
      changes: (changes) => this.#hint(changes),
      bus: (state) => this.#bus(state),
    })
  }

  lineage(): Promise<string> {
    return this.#thread.call('lineage')
  }

  async get(document: string): Promise<Document | null> {
    checkName(document)
    return this.#thread.call('get', document)
  }

  heads(prefix: string): Promise<readonly Head[]> {
    return this.#thread.call('heads', prefix)
  }

  async put(
    document: string,
    value: Uint8Array | null,
    expect: RevisionRef | null,
    writeId: string,
    note: WriteNote,
  ): Promise<PutResult> {
    checkWrite(document, value, writeId, note)
    const outcome = await this.#thread.ask('put', {
      document,
      // A copy of just these bytes: of a view, all that lies behind it would be sent.
      value: value && new Uint8Array(value),
      expect: expect && { number: expect.number, id: expect.id },
      writeId,
      ...{ by: note.by, message: note.message, schema: note.schema ?? 1 },
      at: this.#context.clock.wall(),
    })
    if ('value' in outcome) return outcome.value
    if (outcome.uncertain) return { status: 'unknown', cause: outcome.fault }
    throw outcome.fault
  }

  async history(
    document: string,
    { before = Number.MAX_SAFE_INTEGER, limit = 100 }: { before?: number; limit?: number } = {},
  ): Promise<readonly Head[]> {
    checkName(document)
    return this.#thread.call('history', document, before, Math.max(0, Math.min(Math.ceil(limit), 1e9)))
  }

  async revision(document: string, { number, id }: RevisionRef): Promise<Document | null> {
    checkName(document)
    return this.#thread.call('revision', document, number, id)
  }

  unannounced(): Promise<readonly Head[]> {
    return this.#thread.call('unannounced')
  }

  async markAnnounced(document: string, { number, id }: RevisionRef): Promise<void> {
    checkName(document)
    await this.#thread.call('markAnnounced', document, number, id)
  }

  async lease(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    checkLease(name, holder, ttlMs)
    const { clock, signal } = this.#context
    for (;;) {
      const sent = clock.now()
      const taken = await this.#thread.call('lease', name, holder, ttlMs, this.#holdings.givenBack(name))
      if (!taken) return undefined
      const { number } = taken.token
      // Released while this was on its way: that finds the token, and ends what was just extended.
      if (number === this.#holdings.givenBack(name)) continue
      const holding = this.#holdings.take(name, taken.token, clock.now())
      const calls = {
        renew: () => this.#thread.call('renew', name, number, ttlMs),
        release: () => this.#thread.call('release', name, number),
      }
      return new HeldLease({ ...taken, ttlMs }, clock, sent, calls, signal, holding)
    }
  }

  leases(prefix: string): Promise<readonly LeaseInfo[]> {
    return this.#thread.call('leases', prefix)
  }

  watch(prefixes: readonly string[], listener: WatchListener): { close(): void } {
    const watcher = { prefixes: [...prefixes], listener }
    let closed = false
    this.#watching++
    this.#arm(watcher, () => closed)
    return {
      close: () => {
        if (closed) return
        closed = true
        this.#watchers.delete(watcher)
        if (--this.#watching === 0) this.#thread.unwatch()
      },
    }
  }

  /** Tries until the file can be watched: it is up from then on. */
  #arm(watcher: Watcher, closed: () => boolean): void {
    const { clock, signal } = this.#context
    const over = (): boolean => closed() || signal.aborted
    this.#thread.watch().then(
      () => {
        if (over()) return
        this.#watchers.add(watcher)
        watcher.listener.bus('up')
      },
      () => {
        if (!over()) clock.after(500, () => over() || this.#arm(watcher, closed))
      },
    )
  }

  #hint(changes: readonly Change[]): void {
    for (const { document, revision } of changes)
      for (const { prefixes, listener } of this.#watchers)
        if (prefixes.some((prefix) => document.startsWith(prefix))) listener.hint(document, revision)
  }

  #bus(state: 'up' | 'down'): void {
    for (const { listener } of this.#watchers) listener.bus(state)
  }
}
