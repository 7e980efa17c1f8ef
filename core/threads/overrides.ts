/**
 * What operators have decided about breakers and drains, in force: written into the shared table, without a snapshot. Without
 * a store the document lies in a file under `node.data` and is changed here; with one it is the fleet's: it is followed and
 * changed there, and the file is what a restart has while the store is down.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  type BreakerRecord,
  breakerFor,
  drainFor,
  endedOverrides,
  endOf,
  isMeant,
  nextEnd,
  type OverridesDocument,
  type Target,
  withBreaker,
  withoutBreakers,
  withoutEnded,
} from '../config/overrides.ts'
import type { RevisionAt } from '../config/sync/state.ts'
import type { Clock, Log, Timer } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import type { BreakerDecision } from '../observe/breaker-routes.ts'
import type { PlacedService } from '../proxy/thread-snapshot.ts'
import { type KeptOverrides, OverridesFile } from './overrides-file.ts'
import { forced, type SharedTable } from './table.ts'

const hour = 3_600_000

export type OverridesEdit = (document: OverridesDocument) => OverridesDocument

/** Who changes, and why, in a line. */
export interface OverridesNote {
  readonly by: string
  readonly message: string
}

/** The document where it is the fleet's. */
export interface SharedOverrides {
  /**
   * Settles when the change is committed; it is in force here then, or soon.
   * @throws MR_STORE_*, MR_CONFLICT
   */
  change(edit: OverridesEdit, note: OverridesNote): Promise<void>
}

export interface OverridesDeps {
  /** Where the file lies. */
  readonly directory: string
  readonly table: Pick<SharedTable, 'forced' | 'drained' | 'epoch'>
  readonly clock: Pick<Clock, 'after' | 'wall'>
  readonly log: Log
  services(): Iterable<PlacedService>
  /** There is a store. Default false. */
  readonly shared?: boolean
}

export class Overrides {
  readonly #deps: OverridesDeps
  readonly #file: OverridesFile
  #document: OverridesDocument
  /** Of the store. */
  #at: RevisionAt | undefined
  #shared: SharedOverrides | undefined
  #timer: Timer | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(deps: OverridesDeps) {
    const { directory, log, shared = false } = deps
    const own = join(directory, 'overrides.json')
    this.#deps = deps
    this.#file = new OverridesFile(shared ? join(directory, 'overrides-last-known-good.json') : own, log)
    const { document, at } = this.#file.read()
    this.#document = document
    this.#at = at
    if (shared && existsSync(own))
      log.warn('overrides: what was decided before there was a store is not in force', { file: own })
    this.#awaitEnd()
  }

  get document(): OverridesDocument {
    return this.#document
  }

  /** The revision of the store that is in force; undefined: none. */
  get at(): RevisionAt | undefined {
    return this.#at
  }

  /** The store can be written to, from now on. */
  share(shared: SharedOverrides): void {
    this.#shared = shared
  }

  /** What the store holds is in force from now on; kept on the disk beside that. */
  use(document: OverridesDocument, at: RevisionAt): void {
    if (this.#stopped) return
    this.#at = at
    this.#setInForce(withoutEnded(document, this.#deps.clock.wall()))
    this.#keep({ document, at })
  }

  /**
   * Decides; settles when it is durable.
   * @throws MR_SERVICE_UNKNOWN, MR_OVERRIDE when there is no such backend or the end has passed, MR_STORE_*
   */
  async set({ lastsMs, until, ...decision }: BreakerDecision): Promise<OverridesDocument> {
    this.#check(decision)
    const now = this.#deps.clock.wall()
    const end = endOf({ until, lastsMs }, now)
    const record: BreakerRecord = { ...decision, since: new Date(now).toISOString(), until: end }
    const { service, backend, mode, reason, actor } = record
    await this.#change((document) => withBreaker(document, record), {
      by: actor,
      message: `breaker of ${service}${backend === undefined ? '' : ` ${backend}`} ${mode}: ${reason}`,
    })
    this.#deps.log.warn('an operator set a breaker', { service, backend, mode, reason, actor, until: end })
    return this.#document
  }

  /** Leaves it to the breaker again; without a backend also for every backend of the service. */
  async clear(target: Target): Promise<OverridesDocument> {
    // What the config no longer has may come back to it, and would find its record.
    if (!this.#document.breakers.some((record) => isMeant(record, target))) {
      this.#check(target)
      this.#checkAlone(target)
    }
    const { service, backend } = target
    await this.#change((document) => withoutBreakers(document, target), {
      by: 'admin listener',
      message: `breaker of ${service}${backend === undefined ? '' : ` ${backend}`} left to itself`,
    })
    this.#deps.log.warn('an operator left a breaker to itself', { service, backend })
    return this.#document
  }

  /** Writes what is in force into the table; called when the services are other ones too. */
  apply(services = this.#deps.services()): void {
    const { table } = this.#deps
    const document = this.#document
    const isEmpty = document.breakers.length === 0 && document.drains.length === 0
    for (const { config, placement } of services) {
      let changed = false
      config.backends.forEach(({ url }, i) => {
        const mode = isEmpty ? 'auto' : (breakerFor(document, config.name, url)?.mode ?? 'auto')
        const drained = !isEmpty && drainFor(document, config.name, url) !== undefined ? 1 : 0
        const slot = placement.slots[i]
        if (table.forced[slot] === forced[mode] && table.drained[slot] === drained) return
        Atomics.store(table.forced, slot, forced[mode])
        Atomics.store(table.drained, slot, drained)
        changed = true
      })
      if (changed) Atomics.add(table.epoch, placement.index, 1)
    }
  }

  /** What is being written is written; no timer is left. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#writing.catch(() => {})
  }

  #check({ service, backend }: Target): void {
    const services = [...this.#deps.services()].map(({ config }) => config)
    const config = services.find(({ name }) => name === service)
    if (config === undefined) {
      const known = services.map(({ name }) => name).join(', ')
      throw new MillraceError(
        'MR_SERVICE_UNKNOWN',
        `no service is called "${service}"; there are ${known || 'none'}`,
      )
    }
    if (backend === undefined || config.backends.some(({ url }) => url === backend)) return
    const known = config.backends.map(({ url }) => url).join(', ')
    throw new MillraceError('MR_OVERRIDE', `service ${service} has no backend ${backend}; it has ${known}`)
  }

  /** What holds for a whole service is not ended for one of its backends. */
  #checkAlone({ service, backend }: Target): void {
    const whole = this.#document.breakers.find(
      (one) => one.service === service && one.backend === undefined && one.mode !== 'auto',
    )
    if (backend === undefined || !whole) return
    const { mode, actor, reason } = whole
    const [other, word] = mode === 'open' ? ['closed', 'close'] : ['open', 'trip']
    throw new MillraceError(
      'MR_OVERRIDE',
      `nothing was decided about ${backend} alone: every backend of ${service} is held ${mode} by ${actor} (${reason}). ` +
        `End that for all of them (millrace breaker reset ${service}), or hold this one ${other} ` +
        `(millrace breaker ${word} ${service} ${backend} --reason …)`,
    )
  }

  /** One change at a time: what holds it first, then the table, so that what was answered survives a crash. */
  #change(edit: OverridesEdit, note: OverridesNote): Promise<void> {
    if (this.#deps.shared) return this.#changeShared(edit, note)
    return this.#next(async () => {
      const document = { ...edit(this.#document), revision: this.#document.revision + 1 }
      await this.#file.write({ document })
      this.#setInForce(document)
    })
  }

  async #changeShared(edit: OverridesEdit, note: OverridesNote): Promise<void> {
    if (this.#shared) return await this.#shared.change(edit, note)
    const message = 'the config store has not been reached yet, and it is where this would be kept'
    throw new MillraceError('MR_STORE_UNAVAILABLE', message)
  }

  #setInForce(document: OverridesDocument): void {
    this.#document = document
    this.apply()
    this.#awaitEnd()
  }

  #keep(kept: KeptOverrides): void {
    this.#next(() => this.#file.write(kept)).catch((error: unknown) => this.#notWritten(error))
  }

  #notWritten(error: unknown): void {
    const file = this.#file.path
    this.#deps.log.error('overrides cannot be written', { file, cause: String(error) })
  }

  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#writing.catch(() => {}).then(work)
    this.#writing = done
    return done
  }

  /** Ends what has an end. A timer cannot be set for longer than 24 days: it looks again within the hour. */
  #awaitEnd(): void {
    const { clock } = this.#deps
    this.#timer?.cancel()
    this.#timer = undefined
    const end = nextEnd(this.#document)
    if (this.#stopped || end === undefined) return
    const wait = Math.max(0, end - clock.wall())
    this.#timer = clock.after(Math.min(wait, hour), () => void this.#endOver())
  }

  async #endOver(): Promise<void> {
    const now = this.#deps.clock.wall()
    const ended = endedOverrides(this.#document, now)
    if (ended.length === 0) {
      this.#awaitEnd()
      return
    }
    const left = (document: OverridesDocument): OverridesDocument => withoutEnded(document, now)
    // In the store it is taken out by whoever writes next: every node would write it now.
    if (this.#deps.shared) this.#setInForce(left(this.#document))
    else {
      try {
        await this.#change(left, { by: 'clock', message: 'over' })
      } catch (error) {
        // The disk may be full: it ends all the same.
        this.#notWritten(error)
        this.#setInForce(left(this.#document))
      }
    }
    for (const record of ended) {
      const { service, backend } = record
      const what = 'mode' in record ? 'a breaker is left to itself' : 'a backend takes exchanges again'
      this.#deps.log.warn(`${what}: its time is over`, { service, backend })
    }
  }
}
