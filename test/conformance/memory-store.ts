/**
 * A config store in memory that keeps every promise of the contract: what election, lock and sync plugins are tested on, and
 * what the kit's own tests of stores are tested with. Its faults are chosen by the test.
 */
import {
  type ConfigStore,
  type Document,
  type Head,
  historyLimits,
  type Lease,
  type LeaseInfo,
  MillraceError,
  maxValueBytes,
  type PutResult,
  type RevisionRef,
  type WatchListener,
  type WriteNote,
} from '../../core/contracts/index.ts'
import type { FakeTime } from './time.ts'

interface Stored {
  readonly history: Document[]
  announced: number
}

interface Held {
  readonly holder: string
  readonly token: number
  until: number
}

const namePattern = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/

const headOf = ({ value: _value, ...head }: Document): Head => head

export class MemoryStore {
  readonly documents = new Map<string, Stored>()
  readonly leases = new Map<string, Held>()
  readonly watchers = new Set<{ prefixes: readonly string[]; listener: WatchListener }>()
  readonly lineage = 'lineage-1'
  readonly time: FakeTime
  tokens = 0

  constructor(time: FakeTime) {
    this.time = time
  }

  /** A connection. Its clock is its node's, the leases lapse by the store's. */
  client(clock = this.time.clock()): MemoryClient {
    return new MemoryClient(this, clock)
  }
}

export class MemoryClient implements ConfigStore {
  /** Nothing gets through. */
  cut = false
  /** The next write is applied, and its answer is lost. */
  losesAnswer = false
  readonly #data: MemoryStore
  readonly #clock: { now(): number }

  constructor(data: MemoryStore, clock: { now(): number }) {
    this.#data = data
    this.#clock = clock
  }

  async lineage(): Promise<string> {
    await this.#ask()
    return this.#data.lineage
  }

  async get(document: string): Promise<Document | null> {
    checkName(document)
    await this.#ask()
    return this.#data.documents.get(document)?.history[0] ?? null
  }

  async heads(prefix: string): Promise<readonly Head[]> {
    await this.#ask()
    return [...this.#data.documents.values()]
      .map(({ history }) => headOf(history[0]))
      .filter(({ document }) => document.startsWith(prefix))
      .sort((a, b) => (a.document < b.document ? -1 : 1))
  }

  async put(
    document: string,
    value: Uint8Array | null,
    expect: RevisionRef | null,
    writeId: string,
    note: WriteNote,
  ): Promise<PutResult> {
    checkName(document)
    if ((value?.byteLength ?? 0) > maxValueBytes)
      throw new MillraceError(
        'MR_STORE_LIMIT',
        `${document}: the value is longer than ${maxValueBytes} bytes`,
      )
    await this.#ask()
    const result = this.#write(document, value, expect, writeId, note)
    if (!this.losesAnswer) return result
    this.losesAnswer = false
    return { status: 'unknown', cause: new Error('the answer was lost') }
  }

  async history(
    document: string,
    options: { before?: number; limit?: number } = {},
  ): Promise<readonly Head[]> {
    await this.#ask()
    const { before = Number.POSITIVE_INFINITY, limit = 100 } = options
    const all = this.#data.documents.get(document)?.history ?? []
    return all
      .filter(({ revision }) => revision.number < before)
      .slice(0, limit)
      .map(headOf)
  }

  async revision(document: string, { number, id }: RevisionRef): Promise<Document | null> {
    await this.#ask()
    const all = this.#data.documents.get(document)?.history ?? []
    return all.find(({ revision }) => revision.number === number && revision.id === id) ?? null
  }

  async unannounced(): Promise<readonly Head[]> {
    await this.#ask()
    return [...this.#data.documents.values()]
      .filter(({ history, announced }) => history[0].revision.number > announced)
      .map(({ history }) => headOf(history[0]))
  }

  async markAnnounced(document: string, { number, id }: RevisionRef): Promise<void> {
    await this.#ask()
    const stored = this.#data.documents.get(document)
    const known = stored?.history.some(({ revision }) => revision.number === number && revision.id === id)
    if (stored && known) stored.announced = Math.max(stored.announced, number)
  }

  async lease(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    checkName(name)
    const sent = this.#clock.now()
    await this.#ask()
    const { leases, time } = this.#data
    const held = leases.get(name)
    const lives = held !== undefined && held.until > time.elapsed
    if (lives && held.holder !== holder) return undefined
    const token = lives ? held.token : ++this.#data.tokens
    leases.set(name, { holder, token, until: time.elapsed + ttlMs })
    return this.#leaseOf(name, holder, token, ttlMs, sent)
  }

  async leases(prefix: string): Promise<readonly LeaseInfo[]> {
    await this.#ask()
    const { leases, time, lineage } = this.#data
    return [...leases]
      .filter(([name, { until }]) => name.startsWith(prefix) && until > time.elapsed)
      .map(([name, { holder, token }]) => ({ name, holder, token: { lineage, number: token } }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  watch(prefixes: readonly string[], listener: WatchListener): { close(): void } {
    const watcher = { prefixes, listener }
    queueMicrotask(() => {
      if (closed) return
      this.#data.watchers.add(watcher)
      listener.bus('up')
    })
    let closed = false
    return {
      close: () => {
        closed = true
        this.#data.watchers.delete(watcher)
      },
    }
  }

  /** One round trip. */
  async #ask(): Promise<void> {
    await Promise.resolve()
    if (this.cut) throw new MillraceError('MR_STORE_UNAVAILABLE', 'the memory store is cut off')
  }

  #write(
    document: string,
    value: Uint8Array | null,
    expect: RevisionRef | null,
    writeId: string,
    note: WriteNote,
  ): PutResult {
    const { documents, time, watchers } = this.#data
    const stored: Stored = documents.get(document) ?? { history: [], announced: 0 }
    const written = stored.history.find(({ revision }) => revision.id === writeId)
    if (written) return { status: 'committed', revision: written.revision }
    const head = stored.history.at(0)
    if (head?.revision.number !== expect?.number || head?.revision.id !== expect?.id)
      return { status: 'conflict', head: head ? headOf(head) : null }
    const revision = { number: (head?.revision.number ?? 0) + 1, id: writeId, parent: head?.revision.id }
    const bytes = value?.byteLength ?? 0
    const kept = value?.slice() ?? null
    stored.history.unshift({
      document,
      revision,
      tombstone: value === null,
      note,
      at: time.clock().wall(),
      bytes,
      value: kept,
    })
    stored.history.splice(historyLimits.revisions)
    documents.set(document, stored)
    for (const { prefixes, listener } of watchers)
      if (prefixes.some((prefix) => document.startsWith(prefix))) listener.hint(document, revision)
    return { status: 'committed', revision }
  }

  #leaseOf(name: string, holder: string, token: number, ttlMs: number, sent: number): Lease {
    const validFor = ttlMs * 0.99 - 2
    let until = sent + validFor
    const remainingMs = (): number => Math.max(0, until - this.#clock.now())
    const mine = (): Held | undefined => {
      const held = this.#data.leases.get(name)
      return held?.token === token && held.until > this.#data.time.elapsed ? held : undefined
    }
    return {
      name,
      holder,
      ttlMs,
      token: { lineage: this.#data.lineage, number: token },
      valid: () => remainingMs() > 0,
      remainingMs,
      renew: async () => {
        if (until === Number.NEGATIVE_INFINITY) return false
        const before = this.#clock.now()
        await this.#ask()
        const held = mine()
        if (!held) {
          until = Number.NEGATIVE_INFINITY
          return false
        }
        held.until = this.#data.time.elapsed + ttlMs
        if (until !== Number.NEGATIVE_INFINITY) until = before + validFor
        return until !== Number.NEGATIVE_INFINITY
      },
      release: async () => {
        until = Number.NEGATIVE_INFINITY
        await this.#ask().then(
          () => mine() && this.#data.leases.delete(name),
          () => {},
        )
      },
    }
  }
}

function checkName(name: string): void {
  if (name.length > 200 || !namePattern.test(name))
    throw new MillraceError('MR_STORE_LIMIT', `${JSON.stringify(name)} is no name of a document or lease`)
}
