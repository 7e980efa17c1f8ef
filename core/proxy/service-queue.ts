/** Exchanges that found every pool of a service full, in arrival order. One per service and thread, kept over snapshots. */
import { WaitList } from '../upstream/wait-list.ts'
import { startAttempt } from './attempt.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import type { Http1Upstream } from './http1-upstream.ts'

export class ServiceQueue {
  readonly #list = new WaitList<Http1Upstream>()
  readonly #row: Int32Array
  readonly #index: number

  /** @param row this thread's row of queued exchanges */
  constructor(row: Int32Array, index: number) {
    this.#row = row
    this.#index = index
  }

  push(exchange: Exchange): void {
    this.#list.push(exchange)
    this.publish()
  }

  publish(): void {
    this.#row[this.#index] = this.#list.length
  }

  /** A pool has a place: the longest waiter tries again. One that comes to nothing, or goes to another service, has not
   * used it: then the next. A loop, as a breaker that opens may send a whole queue away. */
  pump(shared: boolean): void {
    while (this.#offer(shared));
  }

  /** True: the place is still free. */
  #offer(shared: boolean): boolean {
    const first = this.#list.first
    if (first === undefined || (shared && !first.mayShare)) return false
    const exchange = this.#list.shift() as Exchange
    this.publish()
    exchange.plane.wheel.clear(exchange)
    const { service } = exchange
    const { requestMs } = service!.config.timeouts
    // The queue's deadline took the place of the request's own: what is left of that holds again.
    if (requestMs > 0) {
      exchange.plane.wheel.set(exchange, Math.max(1, requestMs - (exchange.plane.now() - exchange.startMs)))
    }
    startAttempt(exchange)
    return exchange.phase === phase.idle || exchange.service !== service
  }
}
