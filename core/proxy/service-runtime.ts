/** A service on one data thread: its backends, algorithm, breaker, filters, and the pick. One object per config version;
 * backends, pools, queue and plugin instances are handed on to the next version. */

import type { ServiceConfig } from '../config/snapshot.ts'
import type { Algorithm, Backend } from '../contracts/algorithm.ts'
import type { CircuitBreaker, Outcome } from '../contracts/circuit-breaker.ts'
import { forced, type SharedTable } from '../threads/table.ts'
import type { BackendState } from '../upstream/backend.ts'
import type { Exchange } from './exchange.ts'
import type { FilterStep } from './filter-chain.ts'
import type { Http1Upstream } from './http1-upstream.ts'
import { ServicePick } from './service-pick.ts'
import type { ServiceQueue } from './service-queue.ts'
import { makeView, type ServiceView } from './service-view.ts'
import type { PlacedService } from './thread-snapshot.ts'

export type HttpBackend = BackendState<Http1Upstream>

export class ServiceRuntime {
  readonly name: string
  readonly config: ServiceConfig
  readonly placed: PlacedService
  readonly index: number
  readonly table: SharedTable
  /** Where this node is; '' nowhere. */
  readonly zone: string
  readonly backends: readonly HttpBackend[]
  readonly filters: readonly FilterStep[]
  readonly queue: ServiceQueue
  readonly retriesOnStatus: boolean
  readonly activeRow: Int32Array
  readonly retryingRow: Int32Array
  readonly inFlightRow: Int32Array
  algorithm: Algorithm
  breaker: CircuitBreaker | undefined
  /** The version that runs, seen from each of them; so who still holds an old one keeps no version between alive. */
  #line: { newest: ServiceRuntime } = { newest: this }
  /** The last pick met a pool without a place. */
  sawFull = false
  #view: ServiceView | undefined = undefined
  /** Nobody in it has come back from anywhere yet. */
  #isFirst = false
  #seenEpoch = -1
  readonly #pick: ServicePick
  /** Where the next choice in the algorithm's place begins to look. */
  #turn = 0
  readonly #now: () => number
  /** `hook` and `error`: what threw; absent where the pick was wrong. */
  readonly onFault: (backend: Backend | undefined, hook?: string, error?: unknown) => void

  constructor(parts: {
    placed: PlacedService
    table: SharedTable
    thread: number
    zone: string
    now: () => number
    random: () => number
    backends: readonly HttpBackend[]
    filters: readonly FilterStep[]
    queue: ServiceQueue
    algorithm: Algorithm
    breaker: CircuitBreaker | undefined
    onFault: (backend: Backend | undefined, hook?: string, error?: unknown) => void
  }) {
    this.placed = parts.placed
    this.config = parts.placed.config
    this.name = this.config.name
    this.index = parts.placed.placement.index
    this.table = parts.table
    this.zone = parts.zone
    this.backends = parts.backends
    this.filters = parts.filters
    this.queue = parts.queue
    this.algorithm = parts.algorithm
    this.breaker = parts.breaker
    this.retriesOnStatus = this.config.retries.on.length > 0
    this.activeRow = parts.table.active[parts.thread]
    this.retryingRow = parts.table.retrying[parts.thread]
    this.inFlightRow = parts.table.inFlight[parts.thread]
    this.#now = parts.now
    this.#pick = new ServicePick(this, parts.random)
    this.onFault = parts.onFault
  }

  byUrl(url: string): HttpBackend | undefined {
    return this.backends.find((backend) => backend.url === url)
  }

  /** It takes the place of the version that ran before: from now on it picks for all of them, its view is the current one. */
  succeed(former: ServiceRuntime): void {
    this.#line = former.#line
    this.#line.newest = this
  }

  /** It is the running one from now on. Its view is made at leisure, or by the first pick. */
  begin(isFirst: boolean): void {
    this.#isFirst = isFirst
  }

  /** The first view, where it has not been made yet and none is needed any more by a newer version. */
  settleIn(): void {
    if (this.#view === undefined && this.#line.newest === this) this.refresh()
  }

  /** Makes the view anew from the shared table and shows it to the algorithm. */
  refresh(): void {
    const isFirst = this.#isFirst
    this.#isFirst = false
    this.#seenEpoch = this.table.epoch[this.index]
    const { table } = this
    for (const backend of this.backends)
      backend.gate = table.forced[backend.slot] === forced.closed ? undefined : backend.breaker
    this.#view = makeView(this, this.#now(), isFirst)
    try {
      this.algorithm.update(this.#view)
    } catch (error) {
      this.onFault(undefined, 'update', error)
    }
  }

  // HOT
  /** A backend with a permit of its breaker (`exchange.gate`, `.token`), or undefined; then `sawFull` says whether waiting
   * for a place makes sense. */
  pick(exchange: Exchange): HttpBackend | undefined {
    const { newest } = this.#line
    if (newest !== this) {
      const backend = newest.pick(exchange)
      this.sawFull = newest.sawFull
      return backend
    }
    let view = this.#view
    if (
      view === undefined ||
      this.table.epoch[this.index] !== this.#seenEpoch ||
      exchange.startMs >= view.stepAtMs
    ) {
      this.refresh()
      view = this.#view!
    }
    const request = this.#pick
    request.begin(exchange, view)
    this.sawFull = false
    if (exchange.preferred !== undefined) {
      const preferred = exchange.preferred
      exchange.preferred = undefined
      const isThere = preferred.availableIn === view.mark || preferred.reservedIn === view.mark
      if (isThere && !request.isOut(preferred) && this.#permit(exchange, preferred, view)) return preferred
    }
    for (;;) {
      const backend = this.#choose(request, view) ?? this.#relent(request, view)
      if (backend === undefined) {
        if (exchange.tried === undefined || request.again || this.sawFull) return undefined
        request.again = true
        request.harden()
        continue
      }
      if (this.#permit(exchange, backend, view)) return backend
      request.refuse(backend)
    }
  }

  /** Nobody is left by all the rules: first the load bound and the shares are dropped, then the reserve is asked, the upper
   * tiers first, the fewest in flight per weight. */
  #relent(request: ServicePick, view: ServiceView): HttpBackend | undefined {
    if (request.soft) {
      request.soft = false
      const backend = this.#choose(request, view)
      if (backend !== undefined) return backend
    }
    let chosen: HttpBackend | undefined
    let least = Number.POSITIVE_INFINITY
    for (const backend of view.reserve) {
      const load = view.inFlight(backend) / backend.weight
      const isBetter =
        chosen === undefined ||
        backend.priority < chosen.priority ||
        (backend.priority === chosen.priority && load < least)
      if (!isBetter || request.excluded(backend)) continue
      chosen = backend
      least = load
    }
    return chosen
  }

  // HOT
  /** The algorithm's choice, checked: what it must not choose is replaced, and counted as its fault, once, a throw too. */
  #choose(request: ServicePick, view: ServiceView): HttpBackend | undefined {
    let backend: HttpBackend | undefined
    let isTold = false
    try {
      backend = this.algorithm.pick(request) as HttpBackend | undefined
    } catch (error) {
      this.onFault(undefined, 'pick', error)
      isTold = true
    }
    if (backend !== undefined && backend.availableIn === view.mark && !request.excluded(backend))
      return backend
    const instead = this.#chooseInstead(request, view.available)
    if (instead !== undefined && !isTold) this.onFault(backend)
    return instead
  }

  /** In the place of an algorithm at fault, or of one that rightly finds nobody. Goes round: one backend for all would fail next. */
  #chooseInstead(request: ServicePick, available: readonly HttpBackend[]): HttpBackend | undefined {
    const count = available.length
    for (let i = 0; i < count; i++) {
      const index = (this.#turn + i) % count
      if (request.excluded(available[index])) continue
      this.#turn = index + 1
      return available[index]
    }
    return undefined
  }

  // HOT
  #permit(exchange: Exchange, backend: HttpBackend, view: ServiceView): boolean {
    const gate = backend.gate
    exchange.gate = gate
    if (gate === undefined) return true
    let token = 0
    try {
      token = gate.tryAcquire()
    } catch (error) {
      // A breaker that does not work is none.
      this.onFault(backend, 'tryAcquire', error)
      return true
    }
    exchange.token = token
    // In panic the breakers do not count either: some answer is better than none.
    return token !== 0 || view.panic
  }

  // HOT
  settled(backend: HttpBackend, outcome: Outcome, firstByteMs: number): void {
    const { newest } = this.#line
    const algorithm = newest.algorithm
    if (algorithm.settled === undefined) return
    // An algorithm hears of backends before it hears what came of them.
    if (newest.#view === undefined) newest.refresh()
    try {
      algorithm.settled(backend, outcome, firstByteMs)
    } catch (error) {
      this.onFault(backend, 'settled', error)
    }
  }

  enqueue(exchange: Exchange): void {
    this.queue.push(exchange)
  }

  left(): void {
    this.queue.publish()
  }
}
