/**
 * Keeps a node on the newest config of its store. Hints only say when to look: what counts is what the store says. While
 * the bus is down the heads are polled; slowly, and jittered, the store is asked in any case. Nothing of it is in the way of
 * a request, and the store may be away for as long as it likes. One read is made at a time; hints that come meanwhile are one
 * more read.
 */
import type { ConfigStore, Document, RevisionRef } from '../../contracts/config-store.ts'
import type { Log } from '../../contracts/plugin.ts'
import type { RawClock, RawTimer } from '../../host/clock.ts'
import { Adopter } from './adopter.ts'
import { relate } from './branch.ts'
import { ForkHold } from './fork-hold.ts'
import { HintFilter } from './hint-filter.ts'
import type { LastKnownGood, SavedConfig } from './last-known-good.ts'
import { both, glance, look, type Need } from './need.ts'
import { NodeRecord, type NodeRecordDeps } from './node-record.ts'
import { Reach } from './reach.ts'
import { type RevisionAt, type SyncState, sameRevision, type UseResult } from './state.ts'
import { StoreView } from './store-view.ts'
import { configDocument, configSchema } from './value.ts'

export interface SyncEngineDeps {
  readonly store: ConfigStore
  readonly clock: RawClock
  random(): number
  readonly log: Log
  readonly lastGood: LastKnownGood
  /** Who this is, for its record. */
  readonly node: NodeRecordDeps['node']
  /** How often the heads are read while the bus is down, and how seldom the store is asked while it is up. */
  readonly pollMs: number
  readonly reconcileMs: number
  /** Of {@link Adopter}. */
  use(data: unknown, origin: string): Promise<UseResult>
  /** Unique id of a write, at least 64 random bits. */
  newId(): string
  /** How long the store may take at the start before last-known-good is served; default 200 ms. */
  readonly startWaitMs?: number
  /** How long a fork is held before the store is followed; default 30 s. */
  readonly forkHoldMs?: number
}

/** Last-known-good that a port or threads kept from being served is tried again. */
const savedAgainMs = 1000

export class SyncEngine {
  readonly #deps: SyncEngineDeps
  readonly #view: StoreView
  readonly #adopter: Adopter
  readonly #record: NodeRecord
  readonly #hold: ForkHold
  readonly #hints: HintFilter
  readonly #reach: Reach
  #need: Need | undefined
  #running: Promise<void> | undefined
  #timer: RawTimer | undefined
  #stopped = false
  #saved: Promise<readonly SavedConfig[]> | undefined
  #savedTimer: RawTimer | undefined
  /** There is nothing on the disk that could still be served. */
  #savedTried = false
  /** Of the newest head that was dealt with. */
  #seen: RevisionAt | undefined
  /** `#seen` was taken, or refused for good. */
  #settled = false
  /** Counts calls of {@link retry}: what was begun before does not settle what comes after. */
  #retries = 0
  #empty = false
  #lastFresh = Number.NEGATIVE_INFINITY
  #bus: 'up' | 'down' = 'down'
  /** Counts changes of the bus: a read covers only what was announced before it began. */
  #busChanges = 0
  #caughtUp = false
  #adopting: Promise<unknown> = Promise.resolve()

  constructor(deps: SyncEngineDeps) {
    const { store, clock, log, lastGood, reconcileMs: checkMs } = deps
    this.#deps = deps
    this.#view = new StoreView(store)
    this.#adopter = new Adopter({
      ...{ store: this.#view, log, lastGood, wall: () => clock.wall() },
      use: (data, origin) => deps.use(data, origin),
    })
    this.#record = new NodeRecord({ ...deps, checkMs })
    this.#hold = new ForkHold(clock, log, deps.forkHoldMs ?? 30_000)
    this.#hints = new HintFilter(clock)
    this.#reach = new Reach(deps)
  }

  /**
   * Begins to follow the store. Settles when a config is served, or when it is certain that there is none for now: the
   * store does not answer in time, or holds none, and nothing was kept.
   */
  async start(): Promise<void> {
    const { clock, lastGood, startWaitMs = 200 } = this.#deps
    this.#saved = lastGood.load()
    const first = this.#ask(look)
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = clock.after(startWaitMs, resolve)
    await Promise.race([first, late])
    timer.cancel()
    await this.#serveSaved()
    if (!this.#adopter.applied && this.#hold.fork?.head) void this.#ask(look)
    this.#report()
  }

  /** The document may have changed. Notes it and returns. */
  hint(document: string, revision?: RevisionRef): void {
    if (this.#stopped || document !== configDocument) return
    if (revision && !this.#hints.isNews(revision)) return
    // What lies ahead is read for until it is shown; what does not may be a fork: only what the store holds now can tell.
    const isAhead = revision !== undefined && revision.number > (this.#seen?.number ?? 0)
    void this.#ask({ fresh: !isAhead, full: true, named: revision !== undefined })
  }

  bus(state: 'up' | 'down'): void {
    if (this.#stopped || state === this.#bus) return
    this.#bus = state
    this.#busChanges++
    this.#caughtUp = false
    this.#deps.log.info(`config: the bus is ${state}${state === 'down' ? ', the store is polled' : ''}`)
    // Up: whatever was announced before the subscription is read once more.
    if (state === 'up') void this.#ask({ ...glance, fresh: true })
    else this.#plan()
  }

  /** What was refused is tried again: the node's own half of the config has changed. */
  retry(): void {
    if (this.#stopped) return
    this.#adopter.forgive()
    this.#reach.hurry()
    this.#retries++
    this.#settled = false
    if (this.#savedTried && !this.#adopter.applied) void this.#serveSaved()
    void this.#ask(look)
  }

  state(): SyncState {
    const { applied, from, nack, lastNack, notKept } = this.#adopter
    return {
      ...{ applied, from, nack, lastNack, notKept },
      fork: this.#hold.fork,
      reachable: this.#reach.reachable,
      failure: this.#reach.failure,
      empty: this.#empty,
      bus: this.#bus,
      polling: !this.#caughtUp,
      reads: this.#view.reads,
    }
  }

  /** Settles when nothing is being applied any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#savedTimer?.cancel()
    this.#record.stop()
    await this.#adopting
  }

  /** Where nothing is served yet. */
  async #serveSaved(): Promise<void> {
    const saved = (await this.#saved) ?? []
    await this.#locked(async () => {
      const isServing = this.#stopped || this.#adopter.applied !== undefined
      this.#savedTried = isServing || (await this.#adopter.adoptSaved(saved))
    })
    if (this.#savedTried || this.#stopped) return
    this.#savedTimer = this.#deps.clock.after(savedAgainMs, () => void this.#serveSaved())
  }

  #ask(need: Need): Promise<void> {
    this.#need = both(this.#need, need)
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      this.#plan()
    })
    return this.#running
  }

  async #run(): Promise<void> {
    this.#timer?.cancel()
    // What was served before the restart: a store that does not go on from there has lost something.
    const saved = await this.#saved
    this.#seen ??= saved?.[0]?.revision
    while (!this.#stopped && this.#waitMs() === 0) {
      const need = this.#need
      if (!need) break
      this.#need = undefined
      const isNews = this.#hints.takeOpen()
      // A read that was under way when the hint came has shown what it was about.
      if (isNews || !need.named) await this.#once(need)
    }
  }

  #waitMs(): number {
    return Math.max(this.#reach.remainingMs, this.#hints.remainingMs)
  }

  /** The next look, if nobody hints before. */
  #plan(): void {
    this.#timer?.cancel()
    if (this.#stopped || this.#running) return
    const { clock, random, pollMs, reconcileMs } = this.#deps
    const regular = this.#caughtUp ? reconcileMs : pollMs
    const isDue = this.#need !== undefined || this.#hints.misses || this.#reach.isFailing
    const wait = isDue ? this.#waitMs() : regular * (0.75 + random() / 2)
    const ms = Math.min(wait, Math.max(this.#hold.remainingMs, this.#waitMs()))
    this.#timer = clock.after(ms, () => {
      const now = clock.now()
      const isFresh = this.#caughtUp || now - this.#lastFresh >= reconcileMs || this.#hold.remainingMs === 0
      void this.#ask(this.#hints.misses ? look : { ...glance, fresh: isFresh })
    })
  }

  async #once(need: Need): Promise<void> {
    const began = this.#busChanges
    const wasSettled = this.#settled
    const before = this.#seen
    try {
      await this.#read(need)
      this.#reach.answered(this.#settled || !this.#seen || this.#hold.fork !== undefined)
      if (need.fresh) {
        this.#lastFresh = this.#deps.clock.now()
        if (this.#bus === 'up' && began === this.#busChanges) this.#caughtUp = true
      }
    } catch (error) {
      if (this.#stopped) return
      // What was to be read is still to be read.
      this.#need = both(this.#need, { ...need, fresh: need.fresh || need.named, named: false })
      this.#reach.failed(error)
    }
    const isNew = before !== this.#seen || !wasSettled
    this.#hints.read(this.#hold.fork?.head ?? this.#seen, isNew ? 'new' : need.full ? 'vain' : 'regular')
    this.#report()
  }

  async #read(need: Need): Promise<void> {
    const known = this.#settled && !this.#hold.fork ? this.#seen : undefined
    if (known && !need.full && (await this.#view.isHead(known, need.fresh))) return
    let { seen, relation } = await this.#look(need.fresh)
    // A replica that lags looks like a fork, or does not show what was hinted at.
    const isDoubtful = !relation || relation.kind === 'fork' || !this.#hints.isShownBy(seen?.at)
    if (!need.fresh && isDoubtful) ({ seen, relation } = await this.#look(true))
    this.#empty = seen === null
    if (!seen || !relation) {
      const reason = 'the store holds no config at all, and had one'
      if (this.#seen) this.#hold.isOver(undefined, reason)
      return
    }
    if (relation.kind === 'fork') {
      // Where nothing is served, and nothing was kept, there is nothing to hold.
      const isBare = this.#savedTried && !this.#adopter.applied
      if (!this.#hold.isOver(seen.at, relation.reason) && !isBare) return
      this.#adopter.startBranch()
    } else this.#hold.healed()
    await this.#take(seen.document, seen.at)
  }

  async #look(fresh: boolean) {
    const seen = await this.#view.head(fresh)
    const relation = seen ? await relate(this.#view, this.#seen, seen.document, seen.at.lineage) : undefined
    return { seen, relation }
  }

  async #take(document: Document, at: RevisionAt): Promise<void> {
    if (this.#seen && this.#settled && sameRevision(this.#seen, at)) return
    const retries = this.#retries
    const settled = await this.#locked(async () => this.#stopped || this.#adopter.adopt(at, document))
    if (retries !== this.#retries) this.#adopter.forgive()
    if (this.#hold.fork) this.#record.lost()
    this.#hold.followed(at)
    this.#seen = at
    this.#settled = settled && retries === this.#retries
    if (!settled) this.#reach.notTaken()
  }

  /** One taking at a time. */
  #locked<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#adopting.then(work)
    this.#adopting = done.catch(() => {})
    return done
  }

  #report(): void {
    const { applied, from, nack } = this.#adopter
    if (this.#stopped || this.#reach.reachable !== true) return
    this.#record.set({
      schema: configSchema,
      applied: applied ?? null,
      from: from ?? null,
      nack: nack ?? null,
      fork: this.#hold.fork ?? null,
    })
  }
}
