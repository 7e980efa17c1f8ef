/** Whether the store answers, and when it is asked again after it did not. */
import type { Log } from '../../contracts/plugin.ts'
import type { RawClock } from '../../host/clock.ts'
import { MillraceError } from '../../host/errors.ts'

const firstRetryMs = 100
const slowestRetryMs = 1000
/** After a config that this node was in no state to take. */
const firstTakingMs = 1000

export interface ReachDeps {
  readonly clock: RawClock
  random(): number
  readonly log: Log
  readonly pollMs: number
  readonly reconcileMs: number
}

export class Reach {
  readonly #deps: ReachDeps
  /** In a row. */
  #failures = 0
  #notBefore = Number.NEGATIVE_INFINITY
  /** Of the last read: undefined before the first one has ended. */
  reachable: boolean | undefined
  failure: string | undefined

  constructor(deps: ReachDeps) {
    this.#deps = deps
  }

  /** Something is to be done again. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  get remainingMs(): number {
    return Math.max(0, this.#notBefore - this.#deps.clock.now())
  }

  /** @param done nothing of it is to be done again */
  answered(done: boolean): void {
    if (this.reachable === false) this.#deps.log.info('config: the store answers again')
    this.reachable = true
    this.failure = undefined
    if (!done) return
    this.#failures = 0
    this.#notBefore = Number.NEGATIVE_INFINITY
  }

  failed(error: unknown): void {
    const { log, pollMs } = this.#deps
    const code = error instanceof MillraceError ? error.code : 'MR_STORE_UNAVAILABLE'
    const message = error instanceof Error ? error.message : String(error)
    if (this.reachable !== false)
      log.warn(`config: the store cannot be asked, what is served stays: ${message}`, { code })
    this.reachable = false
    this.failure = `${code} ${message}`
    this.#backOff(Math.min(pollMs, slowestRetryMs), firstRetryMs)
  }

  /** A config could not be taken for a reason of this node's own. */
  notTaken(): void {
    this.#backOff(this.#deps.reconcileMs, firstTakingMs)
  }

  /** What stood in the way may be gone. */
  hurry(): void {
    this.#failures = 0
    this.#notBefore = Number.NEGATIVE_INFINITY
  }

  #backOff(slowestMs: number, firstMs: number): void {
    const { clock, random } = this.#deps
    const ms = Math.min(slowestMs, firstMs * 2 ** Math.min(this.#failures++, 10))
    this.#notBefore = clock.now() + ms * (0.5 + random() / 2)
  }
}
