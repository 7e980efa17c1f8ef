/** What a data thread does when the main thread speaks: lays deltas together and drives the data plane, one step after the
 * other. */
import type { Clock, Timer } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import type { ShippedPlugin } from '../host/loader.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import { joinDelta } from './delta-parts.ts'
import { type DeltaPart, errorData, type FromThread, type PluginCode, type ToThread } from './messages.ts'
import type { Plane } from './plane.ts'
import { type CurrentRegistry, codeVersion } from './plugin-code.ts'
import { applyDelta } from './snapshot-delta.ts'

/** How often to look whether old exchanges or connections have ended, while some have not. */
const lookMs = 100
const drainLookMs = 20

type Attempt = {
  readonly txn: number
  readonly snapshot: ThreadSnapshot
  readonly prepared: unknown
  /** What the registry held before. */
  readonly registry: PluginRegistry
}

export interface AgentDeps {
  readonly plane: Plane
  readonly clock: Clock
  /** The plane's; its content is replaced when a snapshot brings other code. */
  readonly registry: CurrentRegistry
  loadPlugins(plugins: readonly ShippedPlugin[]): Promise<PluginRegistry>
  post(message: FromThread): void
}

export class ThreadAgent {
  readonly #deps: AgentDeps
  readonly #plane: Plane
  readonly #clock: Clock
  readonly #post: (message: FromThread) => void
  #committed: ThreadSnapshot | undefined
  #attempt: Attempt | undefined
  /** What has come of a large delta. */
  #parts: { readonly txn: number; readonly taken: DeltaPart[] } = { txn: 0, taken: [] }
  /** Steps follow one another: a `discard` waits for the `prepare` before it. */
  #steps: Promise<void> = Promise.resolve()
  #released = 0
  #releaseTimer: Timer | undefined

  constructor(deps: AgentDeps) {
    this.#deps = deps
    this.#plane = deps.plane
    this.#clock = deps.clock
    this.#post = (message) => deps.post(message)
  }

  receive(message: Exclude<ToThread, { type: 'stop' | 'access-taken' }>): void {
    if (message.type === 'part') this.#keepPart(message)
    else if (message.type === 'prepare') this.#step(() => this.#prepare(message))
    else if (message.type === 'commit') this.#step(() => this.#commit(message.txn))
    else if (message.type === 'discard') this.#step(() => this.#discard(message.txn))
    else if (message.type === 'drain') this.#plane.startDrain()
    else this.#step(() => this.#closeListeners(message.idleAfterMs))
  }

  #keepPart({ txn, part }: Extract<ToThread, { type: 'part' }>): void {
    if (this.#parts.txn !== txn) this.#parts = { txn, taken: [] }
    this.#parts.taken.push(part)
    this.#post({ type: 'part-taken', txn })
  }

  /** From now on they are not kept here any more. */
  #takeParts(txn: number): readonly DeltaPart[] {
    const { txn: of, taken } = this.#parts
    if (of !== txn) return []
    this.#parts = { txn: 0, taken: [] }
    return taken
  }

  #step(run: () => void | Promise<void>): void {
    // A throw is not caught: the state of the thread would be unknown, so it ends and is replaced.
    this.#steps = this.#steps.then(run)
  }

  async #prepare({ txn, delta, code }: Extract<ToThread, { type: 'prepare' }>): Promise<void> {
    const { registry } = this.#deps
    const before = registry.current
    try {
      const snapshot = applyDelta(this.#committed, joinDelta(this.#takeParts(txn), delta))
      if (code) registry.current = await this.#load(code)
      const prepared = await this.#plane.prepare(snapshot)
      this.#attempt = { txn, snapshot, prepared, registry: before }
      this.#post({ type: 'prepared', txn })
    } catch (error) {
      registry.current = before
      this.#post({ type: 'refused', txn, problems: [errorData(error, 'MR_PLUGIN_FAULT')] })
    }
  }

  async #load(code: PluginCode): Promise<PluginRegistry> {
    const loaded = await this.#deps.loadPlugins(code.plugins)
    // Only packages come from the disk. A successor takes what is there: to refuse would leave its port closed.
    if (this.#committed && codeVersion(loaded) !== code.version) {
      const message = 'a plugin package changed on the disk; new code of packages needs a restart'
      throw new MillraceError('MR_PLUGIN_LOAD', message)
    }
    return loaded
  }

  #commit(txn: number): void {
    const attempt = this.#attempt
    if (attempt?.txn !== txn) throw new TypeError(`commit of ${txn}, but ${attempt?.txn} was prepared`)
    this.#attempt = undefined
    this.#plane.commit(attempt.prepared)
    this.#committed = attempt.snapshot
    this.#post({ type: 'committed', txn })
    this.#lookForReleases()
  }

  async #discard(txn: number): Promise<void> {
    const attempt = this.#attempt
    this.#takeParts(txn)
    if (attempt?.txn === txn) {
      this.#attempt = undefined
      this.#deps.registry.current = attempt.registry
      await this.#plane.discard(attempt.prepared)
    }
    this.#post({ type: 'discarded', txn })
  }

  /** Tells the main thread which revision is the oldest in use, until that is the committed one. */
  #lookForReleases(): void {
    this.#releaseTimer?.cancel()
    const committed = this.#committed!.revision
    const oldest = Math.min(this.#plane.oldestRevision, committed)
    if (oldest > this.#released) {
      this.#released = oldest
      this.#post({ type: 'released', revision: oldest })
    }
    if (oldest < committed) this.#releaseTimer = this.#clock.after(lookMs, () => this.#lookForReleases())
  }

  async #closeListeners(idleAfterMs: number): Promise<void> {
    // Right after the loop has accepted what waited: what is in the queue of a listener that closes is reset.
    await new Promise<void>((resolve) => setImmediate(resolve))
    await this.#plane.closeListeners()
    this.#post({ type: 'listeners-closed' })
    if (idleAfterMs > 0) this.#clock.after(idleAfterMs, () => this.#lookForQuiet())
    else this.#lookForQuiet()
  }

  #lookForQuiet(): void {
    this.#plane.closeIdle()
    if (this.#plane.activeExchanges === 0 && this.#plane.clientConnections === 0)
      this.#post({ type: 'quiet' })
    else this.#clock.after(drainLookMs, () => this.#lookForQuiet())
  }
}
