import {
  type ConfigStore,
  type Document,
  definePlugin,
  type Head,
  historyLimits,
  type Lease,
  type LeaseInfo,
  MillraceError,
  type PutResult,
  type Revision,
  type RevisionRef,
  type StoreContext,
  type WatchListener,
  type WriteNote,
  z,
} from 'millrace'
import { HeldLease, Holdings } from '../lib/held-lease.ts'
import { randomId } from '../lib/random-id.ts'
import { checkLease, checkName, checkWrite } from '../lib/store-checks.ts'

interface Stored {
  /** The newest first. */
  readonly history: Document[]
  announced: number
}

interface Held {
  readonly holder: string
  readonly token: number
  until: number
}

interface Watcher {
  readonly prefixes: readonly string[]
  readonly listener: WatchListener
}

/**
 * A config store in the memory of its instance: for tests, and for a single process that need not remember anything. What
 * was written is gone when the instance stops, and no other process, nor another instance, sees it.
 */
export default definePlugin({
  api: 1,
  kind: 'config-store',
  name: 'memory',
  description: 'Config in the memory of one process: for tests.',
  options: z.strictObject({}),
  create: (context) => new MemoryStore(context),
})

class MemoryStore implements ConfigStore {
  readonly #context: StoreContext
  readonly #lineage: string
  readonly #documents = new Map<string, Stored>()
  readonly #leases = new Map<string, Held>()
  readonly #holdings = new Holdings()
  readonly #watchers = new Set<Watcher>()
  #tokens = 0

  constructor(context: StoreContext) {
    this.#context = context
    this.#lineage = randomId(() => context.random())
    context.defer(() => this.#watchers.clear())
  }

  async lineage(): Promise<string> {
    this.#checkRunning()
    return this.#lineage
  }

  async get(document: string): Promise<Document | null> {
    checkName(document)
    this.#checkRunning()
    return this.#documents.get(document)?.history[0] ?? null
  }

  async heads(prefix: string): Promise<readonly Head[]> {
    this.#checkRunning()
    return this.#heads(({ document }) => document.startsWith(prefix))
  }

  async put(
    document: string,
    value: Uint8Array | null,
    expect: RevisionRef | null,
    writeId: string,
    note: WriteNote,
  ): Promise<PutResult> {
    checkWrite(document, value, writeId, note)
    this.#checkRunning()
    const stored = this.#documents.get(document) ?? { history: [], announced: 0 }
    const known = stored.history.find(({ revision }) => revision.id === writeId)
    if (known) return { status: 'committed', revision: known.revision }
    const head = stored.history.at(0)
    if (head?.revision.number !== expect?.number || head?.revision.id !== expect?.id)
      return { status: 'conflict', head: head ? headOf(head) : null }
    const revision = { number: (expect?.number ?? 0) + 1, id: writeId, parent: expect?.id }
    stored.history.unshift({
      ...{ document, revision, tombstone: value === null, note: { schema: 1, ...note } },
      at: this.#context.clock.wall(),
      bytes: value?.byteLength ?? 0,
      value: value && new Uint8Array(value),
    })
    stored.history.length = keptOf(stored.history)
    this.#documents.set(document, stored)
    this.#hint(document, revision)
    return { status: 'committed', revision }
  }

  async history(
    document: string,
    { before = Number.POSITIVE_INFINITY, limit = 100 }: { before?: number; limit?: number } = {},
  ): Promise<readonly Head[]> {
    checkName(document)
    this.#checkRunning()
    const all = this.#documents.get(document)?.history ?? []
    return all
      .filter(({ revision }) => revision.number < before)
      .slice(0, limit)
      .map(headOf)
  }

  async revision(document: string, revision: RevisionRef): Promise<Document | null> {
    checkName(document)
    this.#checkRunning()
    return this.#find(document, revision) ?? null
  }

  async unannounced(): Promise<readonly Head[]> {
    this.#checkRunning()
    return this.#heads(
      ({ document, revision }) => revision.number > (this.#documents.get(document)?.announced ?? 0),
    )
  }

  async markAnnounced(document: string, revision: RevisionRef): Promise<void> {
    checkName(document)
    this.#checkRunning()
    const stored = this.#documents.get(document)
    if (stored && this.#find(document, revision))
      stored.announced = Math.max(stored.announced, revision.number)
  }

  async lease(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    checkLease(name, holder, ttlMs)
    this.#checkRunning()
    const { clock, signal } = this.#context
    const sent = clock.now()
    const held = this.#held(name)
    if (held && held.holder !== holder) return undefined
    const token = held ? held.token : ++this.#tokens
    // A shorter time to live does not shorten what the holder was given before.
    this.#leases.set(name, { holder, token, until: Math.max(held?.until ?? 0, sent + ttlMs) })
    const terms = { name, holder, ttlMs, token: { lineage: this.#lineage, number: token } }
    const calls = {
      renew: async () => this.#renew(name, token, ttlMs),
      release: async () => void (this.#mine(name, token) && this.#leases.delete(name)),
    }
    return new HeldLease(terms, clock, sent, calls, signal, this.#holdings.take(name, terms.token, sent))
  }

  async leases(prefix: string): Promise<readonly LeaseInfo[]> {
    this.#checkRunning()
    return [...this.#leases]
      .filter(([name]) => name.startsWith(prefix) && this.#held(name) !== undefined)
      .map(([name, { holder, token }]) => ({
        ...{ name, holder },
        token: { lineage: this.#lineage, number: token },
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  watch(prefixes: readonly string[], listener: WatchListener): { close(): void } {
    const watcher = { prefixes: [...prefixes], listener }
    let closed = false
    queueMicrotask(() => {
      if (closed || this.#context.signal.aborted) return
      this.#watchers.add(watcher)
      listener.bus('up')
    })
    return {
      close: () => {
        closed = true
        this.#watchers.delete(watcher)
      },
    }
  }

  #hint(document: string, revision: Revision): void {
    for (const { prefixes, listener } of this.#watchers)
      if (prefixes.some((prefix) => document.startsWith(prefix))) listener.hint(document, revision)
  }

  #heads(wanted: (head: Head) => boolean): Head[] {
    return [...this.#documents.values()]
      .map(({ history }) => headOf(history[0]))
      .filter(wanted)
      .sort((a, b) => (a.document < b.document ? -1 : 1))
  }

  #find(document: string, { number, id }: RevisionRef): Document | undefined {
    const all = this.#documents.get(document)?.history
    return all?.find(({ revision }) => revision.number === number && revision.id === id)
  }

  #renew(name: string, token: number, ttlMs: number): boolean {
    const held = this.#mine(name, token)
    if (held) held.until = Math.max(held.until, this.#context.clock.now() + ttlMs)
    return held !== undefined
  }

  #mine(name: string, token: number): Held | undefined {
    this.#checkRunning()
    const held = this.#held(name)
    return held?.token === token ? held : undefined
  }

  /** What has not lapsed. */
  #held(name: string): Held | undefined {
    const held = this.#leases.get(name)
    return held !== undefined && held.until > this.#context.clock.now() ? held : undefined
  }

  #checkRunning(): void {
    if (this.#context.signal.aborted)
      throw new MillraceError('MR_STORE_UNAVAILABLE', 'the memory store has been stopped')
  }
}

const headOf = ({ value: _value, ...head }: Document): Head => head

/** How many of the revisions are kept: up to the limits, whichever is reached first. */
function keptOf(history: readonly Document[]): number {
  let bytes = 0
  const end = history.findIndex((revision, index) => {
    const over = index >= historyLimits.revisions || bytes >= historyLimits.bytes
    bytes += revision.bytes
    return over
  })
  return end < 0 ? history.length : end
}
