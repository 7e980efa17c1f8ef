/**
 * Keeps a node on the newest `overrides` of its store. As with the config, hints only say when to look, and while the bus is
 * down the heads are polled. It takes effect by a few cells of the shared table, so nothing has to be prepared or tried:
 * what can be read is in force.
 */
import type { ConfigStore, RevisionRef } from '../../contracts/config-store.ts'
import type { Log } from '../../contracts/plugin.ts'
import type { RawClock, RawTimer } from '../../host/clock.ts'
import { decodeOverrides, type OverridesDocument, overridesDocument, overridesSchema } from '../overrides.ts'
import { relate } from './branch.ts'
import { ForkHold } from './fork-hold.ts'
import { HintFilter } from './hint-filter.ts'
import { type RevisionAt, sameRevision } from './state.ts'
import { StoreView, type View } from './store-view.ts'

export interface OverridesFollowerDeps {
  readonly store: ConfigStore
  readonly clock: RawClock
  random(): number
  readonly log: Log
  readonly pollMs: number
  readonly reconcileMs: number
  /** What is in force from before the restart. */
  readonly seen: RevisionAt | undefined
  /** To be in force from now on. */
  use(document: OverridesDocument, at: RevisionAt): void
  /** Default 30 s. */
  readonly forkHoldMs?: number
}

const firstRetryMs = 100
const slowestRetryMs = 1000

export class OverridesFollower {
  readonly #deps: OverridesFollowerDeps
  readonly #view: StoreView
  readonly #hold: ForkHold
  readonly #hints: HintFilter
  /** A hint waits for the pause after a vain read, or for the read that is under way. */
  #hinted = false
  /** One of those names no revision. */
  #unnamed = false
  /** The next read is made for a hint alone. */
  #forHint = false
  #seen: RevisionAt | undefined
  #running: Promise<void> | undefined
  /** Asked for while a read was under way, or failed. */
  #again = false
  #fresh = false
  #failures = 0
  #timer: RawTimer | undefined
  #stopped = false
  #bus: 'up' | 'down' = 'down'
  /** Counts changes of the bus: a read covers only what was announced before it began. */
  #busChanges = 0
  #caughtUp = false

  constructor(deps: OverridesFollowerDeps) {
    this.#deps = deps
    this.#seen = deps.seen
    this.#view = new StoreView(deps.store, overridesDocument)
    this.#hold = new ForkHold(deps.clock, deps.log, deps.forkHoldMs ?? 30_000, overridesDocument)
    this.#hints = new HintFilter(deps.clock)
  }

  /** Begins. Nothing waits for it. */
  start(): void {
    void this.look()
  }

  /** Reads of the store since the start. */
  get reads(): number {
    return this.#view.reads
  }

  get polling(): boolean {
    return !this.#caughtUp
  }

  hint(document: string, revision?: RevisionRef): void {
    if (this.#stopped || document !== overridesDocument) return
    if (revision ? !this.#hints.isNews(revision) : this.#unnamed) return
    if (!revision) this.#unnamed = true
    // A flood of hints moves no timer.
    if (this.#hinted) return
    this.#hinted = true
    this.#plan()
  }

  bus(state: 'up' | 'down'): void {
    if (this.#stopped || state === this.#bus) return
    this.#bus = state
    this.#busChanges++
    this.#caughtUp = false
    if (state === 'up') void this.look()
    else this.#plan()
  }

  /** Settles when what the store held at the time of the call is in force, or when it could not be read. */
  look(): Promise<void> {
    this.#fresh = true
    return this.#ask()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  async #ask(): Promise<void> {
    this.#again = true
    // Whoever asks in the very end of a run is not answered by it.
    do {
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined
        this.#plan()
      })
      await this.#running
    } while (this.#again && this.#failures === 0 && !this.#stopped)
  }

  async #run(): Promise<void> {
    this.#timer?.cancel()
    while (this.#again && !this.#stopped) {
      this.#again = false
      const fresh = this.#fresh
      const began = this.#busChanges
      const before = this.#seen
      const forHint = this.#forHint
      this.#fresh = false
      this.#forHint = false
      if (fresh) this.#takeHints()
      try {
        await this.#read(fresh)
        this.#failures = 0
        const isNew = before !== this.#seen
        this.#hints.read(this.#hold.fork?.head ?? this.#seen, isNew ? 'new' : forHint ? 'vain' : 'regular')
        if (fresh && this.#bus === 'up' && began === this.#busChanges) this.#caughtUp = true
      } catch (error) {
        this.#fresh = true
        this.#hints.read(this.#seen, forHint ? 'vain' : 'regular')
        // The engine of the config says that the store is down.
        if (this.#failures++ === 0) this.#deps.log.debug('overrides: the store cannot be asked', { error })
        return
      }
    }
  }

  #plan(): void {
    this.#timer?.cancel()
    if (this.#stopped || this.#running) return
    const { clock, random, pollMs, reconcileMs } = this.#deps
    // A store that is away is asked again in its own time, whatever is hinted at.
    if (this.#failures === 0 && (this.#hinted || this.#hints.misses)) {
      const ms = this.#hints.remainingMs
      if (ms === 0) this.#follow()
      else this.#timer = clock.after(ms, () => this.#follow())
      return
    }
    const regular = this.#caughtUp ? reconcileMs : pollMs
    const slowest = Math.min(pollMs, slowestRetryMs)
    const retry = Math.min(slowest, firstRetryMs * 2 ** Math.min(this.#failures, 10))
    const wait = (this.#failures > 0 ? retry : regular) * (0.75 + random() / 2)
    this.#timer = clock.after(Math.min(wait, Math.max(this.#hold.remainingMs, firstRetryMs)), () => {
      if (this.#caughtUp || this.#hold.fork) this.#fresh = true
      void this.#ask()
    })
  }

  /** What was hinted at is read, if no read has shown it meanwhile. */
  #follow(): void {
    if (!this.#takeHints() && !this.#hints.misses) {
      this.#plan()
      return
    }
    this.#forHint = true
    void this.look()
  }

  /** Whether something is to be read for the hints so far: the read that begins now answers them all. */
  #takeHints(): boolean {
    const isNews = this.#hints.takeOpen() || this.#unnamed
    this.#hinted = false
    this.#unnamed = false
    return isNews
  }

  async #read(fresh: boolean): Promise<void> {
    const known = this.#hold.fork ? undefined : this.#seen
    if (known && (await this.#view.isHead(known, fresh))) return
    let view = await this.#view.head(fresh)
    let relation = await this.#relate(view)
    // A replica that lags looks like a fork.
    if (!fresh && this.#seen && relation?.kind !== 'next' && relation?.kind !== 'same') {
      view = await this.#view.head(true)
      relation = await this.#relate(view)
    }
    if (!view || !relation) {
      if (this.#seen) this.#hold.isOver(undefined, 'the store holds no overrides at all, and had some')
      return
    }
    if (relation.kind === 'fork') {
      if (!this.#hold.isOver(view.at, relation.reason)) return
    } else this.#hold.healed()
    this.#take(view)
    this.#hold.followed(view.at)
  }

  async #relate(view: View) {
    return view ? await relate(this.#view, this.#seen, view.document, view.at.lineage) : undefined
  }

  /** What cannot be understood changes nothing, and is not tried again. */
  #take({ document: { value, note }, at }: NonNullable<View>): void {
    if (this.#stopped || sameRevision(this.#seen, at)) return
    this.#seen = at
    const { log, use } = this.#deps
    try {
      const schema = note.schema ?? 1
      if (schema > overridesSchema) throw new Error(`they are written in schema ${schema}: update this node`)
      use(decodeOverrides(value, at.number), at)
      log.info(`overrides: revision ${at.number} is in force`, { ...at, by: note.by })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      log.error(`overrides: revision ${at.number} is not used, what is in force stays: ${why}`, {
        code: 'MR_STORE_DATA',
        ...at,
      })
    }
  }
}
