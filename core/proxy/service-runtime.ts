/** A service on one data thread: its backends, algorithm, breaker, filters, and the pick. One object per config version;
 * backends, pools, queue and plugin instances are handed on to the next version. */

import type { ServiceConfig } from '../config/snapshot.ts'
import type { Algorithm, Backend, BackendView, PickRequest } from '../contracts/algorithm.ts'
import type { CircuitBreaker, Outcome } from '../contracts/circuit-breaker.ts'
import { forced, health, type SharedTable, sumColumn } from '../threads/table.ts'
import type { BackendState } from '../upstream/backend.ts'
import type { Exchange } from './exchange.ts'
import type { FilterStep } from './filter-chain.ts'
import { hashKey, hashString } from './hash-key.ts'
import type { Http1Upstream } from './http1-upstream.ts'
import type { ServiceQueue } from './service-queue.ts'
import type { PlacedService } from './thread-snapshot.ts'

export type HttpBackend = BackendState<Http1Upstream>

class ServiceView implements BackendView {
  readonly all: readonly Backend[]
  readonly available: readonly Backend[]
  readonly panic: boolean
  readonly table: Uint8Array<SharedArrayBuffer> | undefined
  readonly #inFlight: readonly Int32Array[]

  constructor(service: ServiceRuntime, available: readonly HttpBackend[], panic: boolean) {
    this.all = service.backends
    this.available = available
    this.panic = panic
    this.table = service.placed.placement.table
    this.#inFlight = service.table.inFlight
    for (const backend of available) backend.availableIn = this
  }

  weight(backend: Backend): number {
    return backend.weight
  }

  inFlight(backend: Backend): number {
    return sumColumn(this.#inFlight, backend.slot)
  }

  isAvailable(backend: Backend): boolean {
    return (backend as HttpBackend).availableIn === this
  }
}

/** The one pick request of a service: reused, and told which exchange it is for. */
class ServicePick implements PickRequest {
  readonly #service: ServiceRuntime
  exchange!: Exchange
  #hash = -1
  /** Refused by their breaker in this pick. */
  readonly refused: Backend[] = []
  /** Tried ones may be picked again: nothing else is left. */
  again = false

  constructor(service: ServiceRuntime) {
    this.#service = service
  }

  begin(exchange: Exchange): void {
    this.exchange = exchange
    this.#hash = -1
    this.again = false
    if (this.refused.length > 0) this.refused.length = 0
  }

  get hash(): number {
    if (this.#hash < 0) this.#hash = hashString(hashKey(this.#service.config.key, this.exchange))
    return this.#hash
  }

  // HOT
  excluded(backend: Backend): boolean {
    if ((backend as HttpBackend).pool.full) {
      this.#service.sawFull = true
      return true
    }
    if (this.refused.length > 0 && this.refused.includes(backend)) return true
    const tried = this.exchange.tried
    return tried !== undefined && !this.again && tried.includes(backend as HttpBackend)
  }
}

export class ServiceRuntime {
  readonly name: string
  readonly config: ServiceConfig
  readonly placed: PlacedService
  readonly index: number
  readonly table: SharedTable
  readonly backends: readonly HttpBackend[]
  readonly filters: readonly FilterStep[]
  readonly queue: ServiceQueue
  readonly retriesOnStatus: boolean
  readonly activeRow: Int32Array
  readonly retryingRow: Int32Array
  readonly inFlightRow: Int32Array
  algorithm: Algorithm
  breaker: CircuitBreaker | undefined
  /** Set when a newer version has been committed: it picks, its view is the current one. */
  successor: ServiceRuntime | undefined = undefined
  /** The last pick met a pool without a place. */
  sawFull = false
  #view: ServiceView | undefined = undefined
  #seenEpoch = -1
  readonly #pick: ServicePick
  /** `hook` and `error`: what threw; absent where the pick was wrong. */
  readonly onFault: (backend: Backend | undefined, hook?: string, error?: unknown) => void

  constructor(parts: {
    placed: PlacedService
    table: SharedTable
    thread: number
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
    this.backends = parts.backends
    this.filters = parts.filters
    this.queue = parts.queue
    this.algorithm = parts.algorithm
    this.breaker = parts.breaker
    this.retriesOnStatus = this.config.retries.on.length > 0
    this.activeRow = parts.table.active[parts.thread]
    this.retryingRow = parts.table.retrying[parts.thread]
    this.inFlightRow = parts.table.inFlight[parts.thread]
    this.#pick = new ServicePick(this)
    this.onFault = parts.onFault
  }

  byUrl(url: string): HttpBackend | undefined {
    return this.backends.find((backend) => backend.url === url)
  }

  /** Makes the view anew from the shared table and shows it to the algorithm. */
  refresh(): void {
    this.#seenEpoch = this.table.epoch[this.index]
    const { table } = this
    for (const backend of this.backends)
      backend.gate = table.forced[backend.slot] === forced.closed ? undefined : backend.breaker
    // Forced open counts in panic too: an operator knows why.
    const usable = this.backends.filter(
      (b) => b.weight > 0 && table.drained[b.slot] === 0 && table.forced[b.slot] !== forced.open,
    )
    const healthy = usable.filter((b) => table.health[b.slot] !== health.down)
    const panic =
      healthy.length < usable.length && healthy.length < usable.length * this.config.panicThreshold
    this.#view = new ServiceView(this, panic ? usable : healthy, panic)
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
    if (this.successor !== undefined) {
      const backend = this.successor.pick(exchange)
      this.sawFull = this.successor.sawFull
      return backend
    }
    if (this.#view === undefined || this.table.epoch[this.index] !== this.#seenEpoch) this.refresh()
    const view = this.#view!
    const request = this.#pick
    request.begin(exchange)
    this.sawFull = false
    if (exchange.preferred !== undefined) {
      const preferred = exchange.preferred
      exchange.preferred = undefined
      if (
        preferred.availableIn === view &&
        !request.excluded(preferred) &&
        this.#permit(exchange, preferred, view)
      ) {
        return preferred
      }
    }
    for (;;) {
      const backend = this.#choose(request, view)
      if (backend === undefined) {
        if (exchange.tried === undefined || request.again || this.sawFull) return undefined
        request.again = true
        continue
      }
      if (this.#permit(exchange, backend, view)) return backend
      request.refused.push(backend)
    }
  }

  // HOT
  /** The algorithm's choice, checked: what it must not choose is replaced, and counted as its fault. */
  #choose(request: ServicePick, view: ServiceView): HttpBackend | undefined {
    let backend: HttpBackend | undefined
    try {
      backend = this.algorithm.pick(request) as HttpBackend | undefined
    } catch (error) {
      this.onFault(undefined, 'pick', error)
    }
    if (backend !== undefined && backend.availableIn === view && !request.excluded(backend)) return backend
    const available = view.available as readonly HttpBackend[]
    for (let i = 0; i < available.length; i++) {
      if (request.excluded(available[i])) continue
      this.onFault(backend)
      return available[i]
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
    let newest: ServiceRuntime = this
    while (newest.successor !== undefined) newest = newest.successor
    const algorithm = newest.algorithm
    if (algorithm.settled === undefined) return
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
