/** The pick request of a service: who is out of the question for the try under way. */
import type { Backend, PickRequest } from '../contracts/algorithm.ts'
import { sumColumn } from '../threads/table.ts'
import type { Exchange } from './exchange.ts'
import { hashKey, hashString, mix32 } from './hash-key.ts'
import type { HttpBackend, ServiceRuntime } from './service-runtime.ts'
import { keepAlways, type ServiceView } from './service-view.ts'

/** One for all picks of a service, one after the other: it is told which exchange it is for. */
export class ServicePick implements PickRequest {
  readonly #service: ServiceRuntime
  exchange!: Exchange
  /** Refused by their breaker in this pick: what is to be unmarked. Each is asked about for every other one, so a search
   * of this list would hold a thread for seconds when a thousand breakers are open. */
  readonly #refused: HttpBackend[] = []
  /** What a refused one is marked with. It refers to nothing: a backend outlives the versions of its service. */
  readonly #mark: object = {}
  /** Tried ones may be picked again: nothing else is left. */
  again = false
  /** What only ought not to be picked is excluded too: over the load bound, or passed over in favour of others. */
  soft = false
  #view!: ServiceView
  #hash = -1
  /** What decides who is passed over in this pick; -1: not needed yet. */
  #draw = -1
  /** Places that the load bound allows in all, for this pick; -1: not counted yet. */
  #places = -1
  /** Marsaglia's xorshift32. */
  #random: number

  /** @param random uniform in [0, 1), called once */
  constructor(service: ServiceRuntime, random: () => number) {
    this.#service = service
    this.#random = Math.floor(random() * 0xffffffff) | 1
  }

  // HOT
  begin(exchange: Exchange, view: ServiceView): void {
    this.exchange = exchange
    this.again = false
    this.#view = view
    this.harden()
    this.#hash = -1
    this.#draw = -1
    this.#places = -1
    if (this.#refused.length > 0) this.#forget()
  }

  refuse(backend: HttpBackend): void {
    backend.refusedBy = this.#mark
    this.#refused.push(backend)
  }

  #forget(): void {
    for (const backend of this.#refused) backend.refusedBy = undefined
    this.#refused.length = 0
  }

  // HOT
  /** The soft rules hold, where there are any. */
  harden(): void {
    this.soft = this.#service.config.loadBound > 0 || this.#view.thins
  }

  get hash(): number {
    if (this.#hash < 0) this.#hash = hashString(hashKey(this.#service.config.key, this.exchange))
    return this.#hash
  }

  // HOT
  excluded(backend: Backend): boolean {
    return this.isOut(backend as HttpBackend) || (this.soft && this.#yields(backend as HttpBackend))
  }

  // HOT
  /** What holds for a preferred backend too. */
  isOut(backend: HttpBackend): boolean {
    if (backend.pool.full) {
      this.#service.sawFull = true
      return true
    }
    if (backend.refusedBy === this.#mark) return true
    const tried = this.exchange.tried
    return tried !== undefined && !this.again && tried.includes(backend)
  }

  #yields(backend: HttpBackend): boolean {
    const bound = this.#service.config.loadBound
    return (bound > 0 && this.#isOver(backend, bound)) || (this.#view.thins && this.#isPassedOver(backend))
  }

  /**
   * Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016): nobody holds more than
   * ceil(bound × exchanges × its part of the weights), this exchange counted.
   */
  #isOver(backend: HttpBackend, bound: number): boolean {
    if (this.#places < 0) {
      const { table, index } = this.#service
      const exchanges = sumColumn(table.active, index) - sumColumn(table.queued, index)
      this.#places = Math.ceil(bound * Math.max(1, exchanges))
    }
    const view = this.#view
    const allowed = Math.ceil((this.#places * backend.effectiveWeight) / view.totalWeight)
    return view.inFlight(backend) >= allowed
  }

  /**
   * One draw a pick, so that asking twice gets the same answer. An algorithm that has read the hash goes by the key:
   * then the keys of a backend that ramps up come home one after the other, and stay.
   */
  #isPassedOver(backend: HttpBackend): boolean {
    if (backend.keepBelow >= keepAlways) return false
    // Mixed once more: the algorithm has made its choice from the hash itself.
    if (this.#draw < 0) this.#draw = (this.#hash < 0 ? this.#next() : mix32(~this.#hash)) >>> 2
    return this.#draw >= backend.keepBelow
  }

  #next(): number {
    let x = this.#random
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#random = x
    return x
  }
}
