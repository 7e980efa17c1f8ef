/** What is done about a store that does not go on from what was seen: hold what is served, raise the alarm, and follow the store
 * when it has not mended itself in time. A store without any config is never followed: nothing is no config. */
import type { Log } from '../../contracts/plugin.ts'
import type { RawClock } from '../../host/clock.ts'
import { type Fork, type RevisionAt, revisionText } from './state.ts'
import { configDocument } from './value.ts'

export class ForkHold {
  readonly #clock: RawClock
  readonly #log: Log
  readonly #holdMs: number
  readonly #document: string
  /** Monotonic; when the store is followed. */
  #until = Number.POSITIVE_INFINITY
  fork: Fork | undefined

  /** @param document its name, for the log */
  constructor(clock: RawClock, log: Log, holdMs: number, document: string = configDocument) {
    this.#clock = clock
    this.#log = log
    this.#holdMs = holdMs
    this.#document = document
  }

  /** Until the store is to be followed; infinite when there is no fork. */
  get remainingMs(): number {
    return Math.max(0, this.#until - this.#clock.now())
  }

  /**
   * The store was seen not to go on.
   * @param head undefined: it holds no config
   * @returns true when it has been so for long enough
   */
  isOver(head: RevisionAt | undefined, reason: string): boolean {
    const began = this.fork === undefined || (this.fork.head === undefined) !== (head === undefined)
    if (began) this.#begin(head, reason)
    else if (this.fork) this.fork = { ...this.fork, head, reason }
    return this.#clock.now() >= this.#until
  }

  #begin(head: RevisionAt | undefined, reason: string): void {
    const since = this.#clock.wall()
    const followsAt = head && since + this.#holdMs
    this.#until = head ? this.#clock.now() + this.#holdMs : Number.POSITIVE_INFINITY
    this.fork = { head, reason, since, followsAt }
    const then = head ? `in ${this.#holdMs / 1000} s the store is followed` : 'it is not followed'
    this.#log.error(`${this.#document}: FORK: ${reason}; what is served stays, ${then}`, {
      code: 'MR_STORE_FORK',
      head,
    })
  }

  /** The store is followed: what it holds was taken, or refused. */
  followed(at: RevisionAt): void {
    if (!this.fork) return
    this.#log.warn(`${this.#document}: the store is followed over the fork, at ${revisionText(at)}`, {
      code: 'MR_STORE_FORK',
    })
    this.#end()
  }

  /** The store goes on from what was seen after all. */
  healed(): void {
    if (!this.fork) return
    this.#log.info(`${this.#document}: the fork is over, the store goes on from what is served`)
    this.#end()
  }

  #end(): void {
    this.fork = undefined
    this.#until = Number.POSITIVE_INFINITY
  }
}
