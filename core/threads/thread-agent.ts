/** What a data thread does when the main thread speaks: lays deltas together and drives the data plane, one step after the
 * other. */
import type { Clock, Timer } from '../contracts/plugin.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import { errorData, type FromThread, type SnapshotDelta, type ToThread } from './messages.ts'
import type { Plane } from './plane.ts'
import { applyDelta } from './snapshot-delta.ts'

/** How often to look whether old exchanges or connections have ended, while some have not. */
const lookMs = 100
const drainLookMs = 20

type Attempt = { readonly txn: number; readonly snapshot: ThreadSnapshot; readonly prepared: unknown }

export class ThreadAgent {
  readonly #plane: Plane
  readonly #clock: Clock
  readonly #post: (message: FromThread) => void
  #committed: ThreadSnapshot | undefined
  #attempt: Attempt | undefined
  /** Steps follow one another: a `discard` waits for the `prepare` before it. */
  #steps: Promise<void> = Promise.resolve()
  #released = 0
  #releaseTimer: Timer | undefined

  constructor(plane: Plane, clock: Clock, post: (message: FromThread) => void) {
    this.#plane = plane
    this.#clock = clock
    this.#post = post
  }

  receive(message: Exclude<ToThread, { type: 'stop' }>): void {
    if (message.type === 'prepare') this.#step(() => this.#prepare(message.txn, message.delta))
    else if (message.type === 'commit') this.#step(() => this.#commit(message.txn))
    else if (message.type === 'discard') this.#step(() => this.#discard(message.txn))
    else if (message.type === 'drain') this.#plane.startDrain()
    else this.#step(() => this.#closeListeners())
  }

  #step(run: () => void | Promise<void>): void {
    // A throw is not caught: the state of the thread would be unknown, so it ends and is replaced.
    this.#steps = this.#steps.then(run)
  }

  async #prepare(txn: number, delta: SnapshotDelta): Promise<void> {
    try {
      const snapshot = applyDelta(this.#committed, delta)
      this.#attempt = { txn, snapshot, prepared: await this.#plane.prepare(snapshot) }
      this.#post({ type: 'prepared', txn })
    } catch (error) {
      this.#post({ type: 'refused', txn, problems: [errorData(error, 'MR_PLUGIN_FAULT')] })
    }
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
    if (attempt?.txn === txn) {
      this.#attempt = undefined
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

  async #closeListeners(): Promise<void> {
    await this.#plane.closeListeners()
    this.#post({ type: 'listeners-closed' })
    this.#lookForQuiet()
  }

  #lookForQuiet(): void {
    this.#plane.closeIdle()
    if (this.#plane.activeExchanges === 0 && this.#plane.clientConnections === 0)
      this.#post({ type: 'quiet' })
    else this.#clock.after(drainLookMs, () => this.#lookForQuiet())
  }
}
