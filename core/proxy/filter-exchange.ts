/** An exchange as filters see it; made at the first hook, reused with the exchange. Spec: core/contracts/filter.ts. */
import type { FilterUse } from '../config/snapshot.ts'
import type { Backend } from '../contracts/algorithm.ts'
import type {
  ExchangeOutcome,
  FilterExchange,
  OwnResponse,
  RequestView,
  ResponseView,
} from '../contracts/filter.ts'
import { MillraceError } from '../host/errors.ts'
import { BackendState } from '../upstream/backend.ts'
import type { OwnAnswer } from './answer.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import { FieldList } from './field-list.ts'
import { RequestFacade, ResponseFacade, type Stage, stage } from './filter-messages.ts'
import { startMirror } from './mirror.ts'
import type { ServiceRuntime } from './service-runtime.ts'

/** Services that filters may send one exchange on to: two that send to each other would never end. */
const maxMoves = 8

export class ExchangeFacade implements FilterExchange {
  readonly #exchange: Exchange
  readonly request: RequestView
  readonly #response: ResponseView
  #index = 0
  #stage: Stage = stage.other
  #states: unknown[] = []
  #answer: OwnAnswer | undefined
  #abort: AbortController | undefined
  #moves = 0

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    this.request = new RequestFacade(exchange, this)
    this.#response = new ResponseFacade(exchange, this)
  }

  /** Filter `index` is about to run a hook. */
  enter(index: number, now: Stage): void {
    this.#index = index
    this.#stage = now
  }

  /** Of the filter that ran last: whose transforms are attached now. */
  get use(): FilterUse | undefined {
    return this.#exchange.chain?.[this.#index]?.use
  }

  leave(): void {
    this.#stage = stage.other
  }

  /** For the filters after one that missed its deadline. It keeps this one, through which it cannot answer for them. */
  handOn(): ExchangeFacade {
    const next = new ExchangeFacade(this.#exchange)
    next.#states = this.#states
    next.#moves = this.#moves
    next.#abort = this.#abort
    this.#states = [...this.#states]
    this.#stage = stage.other
    return next
  }

  /** The exchange has ended. */
  end(): void {
    const abort = this.#abort
    this.#abort = undefined
    this.#answer = undefined
    this.#stage = stage.other
    this.#moves = 0
    if (this.#states.length > 0) this.#states = []
    if (abort && this.#exchange.outcome !== 'ok') abort.abort()
  }

  get answered(): boolean {
    return this.#answer !== undefined
  }

  takeAnswer(): OwnAnswer {
    const answer = this.#answer!
    this.#answer = undefined
    this.#stage = stage.other
    return answer
  }

  get id(): string {
    return this.#exchange.id
  }

  get response(): ResponseView | undefined {
    return this.#exchange.status > 0 ? this.#response : undefined
  }

  get route(): string {
    return this.#exchange.route?.name ?? ''
  }

  get service(): string {
    return this.#exchange.service?.name ?? ''
  }

  get backends(): readonly Backend[] {
    return this.#exchange.service?.backends ?? []
  }

  get backend(): Backend | undefined {
    return this.#exchange.backend
  }

  get attempts(): number {
    return this.#exchange.attempts
  }

  get outcome(): ExchangeOutcome | undefined {
    return this.#exchange.outcome
  }

  get errorCode(): string | undefined {
    return this.#exchange.errorCode
  }

  get state(): unknown {
    return this.#states[this.#index]
  }

  set state(value: unknown) {
    this.#states[this.#index] = value
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController()
      if (this.#exchange.phase === phase.idle) this.#abort.abort()
    }
    return this.#abort.signal
  }

  /** @throws MR_PLUGIN_FAULT: what a message's head has already told its receiver must not change any more */
  only(wanted: Stage, what: string): void {
    if (this.#stage === wanted) return
    const hook = wanted === stage.request ? 'onRequest' : 'onResponse'
    throw new MillraceError('MR_PLUGIN_FAULT', `${what} works in ${hook} only`)
  }

  respond(response: OwnResponse): void {
    this.only(stage.request, 'respond')
    if (!Number.isInteger(response.status) || response.status < 200 || response.status > 599) {
      throw new MillraceError('MR_HEADER_INVALID', `status ${response.status} is not from 200 to 599`)
    }
    const fields = new FieldList(undefined, undefined)
    for (const [name, value] of Object.entries(response.headers ?? {})) fields.append(name, value)
    const body =
      typeof response.body === 'string' ? Buffer.from(response.body) : Buffer.from(response.body ?? '')
    if (typeof response.body === 'string' && !fields.has('content-type')) {
      fields.put('Content-Type', 'text/plain; charset=utf-8')
    }
    this.#answer = { status: response.status, fields, body }
  }

  prefer(backend: Backend | string): void {
    this.only(stage.request, 'prefer')
    // Whose it is shows when it is picked: only the service's own view knows it.
    const url = typeof backend === 'string' ? backend : backend.url
    this.#exchange.preferred = backend instanceof BackendState ? backend : this.#exchange.service?.byUrl(url)
  }

  #service(name: string): ServiceRuntime {
    const service = this.#exchange.runtime.services.get(name)
    if (!service) throw new MillraceError('MR_SERVICE_UNKNOWN', `there is no service ${JSON.stringify(name)}`)
    return service
  }

  sendTo(name: string): void {
    this.only(stage.request, 'sendTo')
    const exchange = this.#exchange
    const service = this.#service(name)
    if (service === exchange.service) return
    if (++this.#moves > maxMoves)
      throw new MillraceError('MR_PLUGIN_FAULT', `sent on to another service more than ${maxMoves} times`)
    const own = exchange.service!.filters.length
    // The former service's own filters that were not entered yet belong to it, not to the exchange.
    const chain = exchange.chain!
    const keep = Math.max(this.#index + 1, chain.length - own)
    exchange.chain = [...chain.slice(0, keep), ...service.filters]
    exchange.changeService(service)
  }

  mirror(name: string): void {
    this.only(stage.request, 'mirror')
    startMirror(this.#exchange, this.#service(name))
  }
}
