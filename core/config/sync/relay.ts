/**
 * Announces what was committed and never announced. The event of a change is written with the change (the store's outbox), so a
 * writer that dies between the two, or that cannot reach the bus, loses nothing: whoever holds the lock `relay` finds it there,
 * announces it and notes that it has. Documents that no node follows, as the nodes' own records, are noted without a word.
 *
 * One node of a fleet works, the others stand by. The lock only saves work: a change that is announced twice is heard twice, and the note
 * is a compare-and-set of the store. So a holder that has lost it in the middle of an announcement does no harm.
 */
import type { ConfigStore, Head, RevisionRef } from '../../contracts/config-store.ts'
import type { ConfigSync } from '../../contracts/config-sync.ts'
import type { Lock, Locker } from '../../contracts/lock.ts'
import type { Log } from '../../contracts/plugin.ts'
import type { RawClock } from '../../host/clock.ts'
import { MillraceError } from '../../host/errors.ts'
import { pause } from '../../host/pause.ts'
import type { RelayState } from './state.ts'

export const relayLock = 'relay'

export interface RelayDeps {
  readonly store: Pick<ConfigStore, 'unannounced' | 'markAnnounced'>
  readonly sync: Required<Pick<ConfigSync, 'announce'>>
  /** Prefixes of the documents that are followed, and so announced. */
  readonly documents: readonly string[]
  readonly locker: Locker
  readonly clock: RawClock
  random(): number
  readonly log: Log
  /** Between two looks at the outbox; default 250 ms. */
  readonly pollMs?: number
  /** Of the lock: how long nobody works after one that was killed; default 5 s. */
  readonly ttlMs?: number
  /** Between two tries to get the lock, jittered: each is a write of the store. Default 3 s. */
  readonly standbyMs?: number
}

/** After a failure, of a document or of the outbox: as between two looks, doubled each time, up to this. */
const slowestRetryMs = 5000
/** Then the outbox is read again: what comes to stand before the others does not wait for all of them. */
const mostAtOnce = 16
/** The contract gives an announcement 5 s. One that has not ended by then never will, as far as anybody knows: it is made again. */
const announceLimitMs = 10_000
/** One that takes longer goes on beside: the other documents do not wait for it. */
const patienceMs = 500

/** A document that could not be announced. The others do not wait for it. */
interface Waiting {
  readonly failures: number
  /** Of the clock. */
  readonly until: number
}

export class Relay {
  readonly #deps: RelayDeps
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #working = false
  #announced = 0
  readonly #waiting = new Map<string, Waiting>()
  /** Documents that are being dealt with. */
  readonly #busy = new Map<string, Promise<boolean>>()
  /** Of the outbox, in a row. */
  #failures = 0

  constructor(deps: RelayDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#running ??= this.#run()
  }

  get state(): RelayState {
    return { working: this.#working, announced: this.#announced }
  }

  /** Settles when nothing is announced any more and the lock is free. Idempotent; never rejects. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await Promise.all(this.#busy.values())
  }

  async #run(): Promise<void> {
    const { clock, random, standbyMs = 3000 } = this.#deps
    while (!this.#stop.signal.aborted) {
      const lock = await this.#acquire()
      if (lock) await this.#work(lock)
      if (!this.#stop.signal.aborted)
        await pause(clock, standbyMs * (0.75 + random() / 2), [this.#stop.signal])
    }
  }

  async #acquire(): Promise<Lock | undefined> {
    const { locker, ttlMs = 5000, log } = this.#deps
    try {
      return await locker.acquire(relayLock, { ttlMs, signal: this.#stop.signal })
    } catch (error) {
      // The engine says that the store is away; here it only means that there is nothing to do.
      log.debug('relay: nobody knows who announces', { error })
      return undefined
    }
  }

  async #work(lock: Lock): Promise<void> {
    const { clock, log } = this.#deps
    this.#working = true
    log.info('relay: this node announces what was committed', { token: lock.token.number })
    try {
      while (lock.valid() && !this.#stop.signal.aborted) {
        const isMore = await this.#look(lock)
        if (!isMore) await pause(clock, this.#retryMs(this.#failures), [this.#stop.signal, lock.lost])
      }
    } finally {
      this.#working = false
      await lock.release()
    }
    if (!this.#stop.signal.aborted) log.warn('relay: this node announces no more: its lock is lost')
  }

  /** @returns whether to look again at once */
  async #look(lock: Lock): Promise<boolean> {
    const due = await this.#due()
    const followed = due.filter(({ document }) => this.#isFollowed(document))
    const others = due.filter(({ document }) => !this.#isFollowed(document))
    for (const head of followed.slice(0, mostAtOnce)) {
      if (!lock.valid() || this.#stop.signal.aborted) return false
      // What has come meanwhile may be what matters more.
      if (!(await this.#settle(head))) return true
    }
    if (followed.length > mostAtOnce) return true
    if (!lock.valid() || this.#stop.signal.aborted) return false
    await Promise.all(others.slice(0, mostAtOnce).map((head) => this.#settle(head)))
    return others.length > mostAtOnce
  }

  /** What is in the outbox, without what is to be tried later, or is being dealt with. */
  async #due(): Promise<readonly Head[]> {
    const { store, clock } = this.#deps
    try {
      const heads = await store.unannounced()
      this.#failures = 0
      const there = new Set(heads.map(({ document }) => document))
      for (const document of this.#waiting.keys()) if (!there.has(document)) this.#waiting.delete(document)
      const now = clock.now()
      return heads.filter(
        ({ document }) => !this.#busy.has(document) && (this.#waiting.get(document)?.until ?? now) <= now,
      )
    } catch (error) {
      if (this.#failures++ === 0) this.#tell('the outbox could not be read', error)
      return []
    }
  }

  /** @returns false when it failed and waits, or takes long and goes on beside */
  async #settle(head: Head): Promise<boolean> {
    const { document } = head
    const work = this.#bring(head).finally(() => this.#busy.delete(document))
    this.#busy.set(document, work)
    return (await inTime(this.#deps.clock, patienceMs, work, this.#stop.signal)) ?? false
  }

  /** Never rejects. @returns false when it failed, and waits */
  async #bring({ document, revision }: Head): Promise<boolean> {
    const { store, clock } = this.#deps
    try {
      if (this.#isFollowed(document)) {
        await this.#announce(document, revision)
        this.#announced++
      }
      await store.markAnnounced(document, revision)
      this.#waiting.delete(document)
      return true
    } catch (error) {
      const failures = (this.#waiting.get(document)?.failures ?? 0) + 1
      if (failures === 1) this.#tell(`${document} could not be announced, and is kept`, error)
      this.#waiting.set(document, { failures, until: clock.now() + this.#retryMs(failures) })
      return false
    }
  }

  /** Rejects also where the sync does not answer, or this node stops: nobody knows what came of it, and it stays in the outbox. */
  async #announce(document: string, revision: RevisionRef): Promise<void> {
    const { sync, clock } = this.#deps
    const made = Promise.resolve(sync.announce(document, revision)).then(() => true)
    if (await inTime(clock, announceLimitMs, made, this.#stop.signal)) return
    throw new MillraceError('MR_NETWORK', `the sync has not answered within ${announceLimitMs / 1000} s`)
  }

  #isFollowed(document: string): boolean {
    return this.#deps.documents.some((prefix) => document.startsWith(prefix))
  }

  #tell(what: string, error: unknown): void {
    if (this.#stop.signal.aborted) return
    const code = error instanceof MillraceError ? error.code : 'MR_STORE_UNAVAILABLE'
    const message = error instanceof Error ? error.message : String(error)
    this.#deps.log.warn(`relay: ${what}: ${message}`, { code })
  }

  #retryMs(failures: number): number {
    const { pollMs = 250, random } = this.#deps
    const ms = Math.min(slowestRetryMs, pollMs * 2 ** Math.min(failures, 10))
    return Math.max(pollMs, ms) * (0.75 + random() / 2)
  }
}

/** Undefined: it has not ended in this time, or before the signal. It goes on, and what comes of it is its own. */
async function inTime<T>(
  clock: RawClock,
  ms: number,
  work: Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const over = new AbortController()
  try {
    return await Promise.race([work, pause(clock, ms, [signal, over.signal]).then(() => undefined)])
  } finally {
    over.abort()
  }
}
