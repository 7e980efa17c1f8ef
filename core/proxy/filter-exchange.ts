/** An exchange as filters see it; made at the first hook, reused with the exchange. Spec: core/contracts/filter.ts. */
import type { FilterUse } from '../config/snapshot.ts'
import type { Backend } from '../contracts/algorithm.ts'
import type {
  BodyTransform,
  ExchangeOutcome,
  FilterExchange,
  HeaderFields,
  OwnResponse,
  RequestView,
  ResponseView,
} from '../contracts/filter.ts'
import { MillraceError } from '../host/errors.ts'
import { isOriginForm } from '../http1/target.ts'
import { BackendState } from '../upstream/backend.ts'
import type { OwnAnswer } from './answer.ts'
import { collectBody } from './collect.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import { FieldList } from './field-list.ts'
import { startMirror } from './mirror.ts'
import type { ServiceRuntime } from './service-runtime.ts'

/** Services that filters may send one exchange on to: two that send to each other would never end. */
const maxMoves = 8

class RequestFacade implements RequestView {
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get method(): string {
    return this.#exchange.method
  }

  get target(): string {
    return this.#exchange.target
  }

  set target(value: string) {
    if (this.#exchange.attempts > 0)
      throw new MillraceError('MR_TARGET_INVALID', 'the target was already sent')
    if (!isOriginForm(value)) {
      throw new MillraceError('MR_TARGET_INVALID', `target ${JSON.stringify(value)} is not in origin-form`)
    }
    this.#exchange.target = value
    this.#exchange.startLineKept = false
  }

  get path(): string {
    return this.#exchange.path
  }

  get query(): string {
    const { target } = this.#exchange
    const mark = target.indexOf('?')
    return mark < 0 ? '' : target.slice(mark + 1)
  }

  get host(): string {
    return this.#exchange.host
  }

  get scheme(): 'http' | 'https' {
    return this.#exchange.client.scheme
  }

  get minorVersion(): number {
    return this.#exchange.client.minorVersion
  }

  get clientAddress(): string {
    return this.#exchange.clientAddress
  }

  get headers(): HeaderFields {
    return this.#exchange.requestFields
  }

  get bodyLength(): number {
    return this.#exchange.requestLength
  }

  transformBody(transform: BodyTransform): void {
    this.#exchange.transformRequest(transform)
  }

  readBody(limit: number): Promise<Uint8Array> {
    return collectBody(this.#exchange, limit)
  }
}

class ResponseFacade implements ResponseView {
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get status(): number {
    return this.#exchange.status
  }

  set status(value: number) {
    if (!Number.isInteger(value) || value < 200 || value > 599) {
      throw new MillraceError('MR_HEADER_INVALID', `status ${value} is not from 200 to 599`)
    }
    this.#exchange.status = value
    this.#exchange.statusEdited = true
  }

  get headers(): HeaderFields {
    const exchange = this.#exchange
    exchange.responseFields ??= new FieldList(exchange.responseHead, exchange.responseNominated)
    return exchange.responseFields
  }

  get own(): boolean {
    return this.#exchange.own !== undefined
  }

  transformBody(transform: BodyTransform): void {
    const exchange = this.#exchange
    if (exchange.bodyless || exchange.own !== undefined) return
    exchange.responsePipe ??= exchange.plane.responsePipe(exchange)
    exchange.responsePipe.prepend(transform, exchange.facade?.use)
  }
}

export class ExchangeFacade implements FilterExchange {
  readonly #exchange: Exchange
  readonly request: RequestView
  readonly #response: ResponseView
  #index = 0
  #inRequest = false
  #states: unknown[] = []
  #answer: OwnAnswer | undefined
  #abort: AbortController | undefined
  #moves = 0

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    this.request = new RequestFacade(exchange)
    this.#response = new ResponseFacade(exchange)
  }

  /** Filter `index` is about to run a hook. */
  enter(index: number, inRequest: boolean): void {
    this.#index = index
    this.#inRequest = inRequest
  }

  /** Of the filter that ran last: whose transforms are attached now. */
  get use(): FilterUse | undefined {
    return this.#exchange.chain?.[this.#index]?.use
  }

  leave(): void {
    this.#inRequest = false
  }

  /** For the filters after one that missed its deadline. It keeps this one, through which it cannot answer for them. */
  handOn(): ExchangeFacade {
    const next = new ExchangeFacade(this.#exchange)
    next.#states = this.#states
    next.#moves = this.#moves
    next.#abort = this.#abort
    this.#states = [...this.#states]
    this.#inRequest = false
    return next
  }

  /** The exchange has ended. */
  end(): void {
    const abort = this.#abort
    this.#abort = undefined
    this.#answer = undefined
    this.#inRequest = false
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
    this.#inRequest = false
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

  #requestOnly(hook: string): void {
    if (!this.#inRequest) throw new MillraceError('MR_PLUGIN_FAULT', `${hook} works in onRequest only`)
  }

  respond(response: OwnResponse): void {
    this.#requestOnly('respond')
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
    this.#requestOnly('prefer')
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
    this.#requestOnly('sendTo')
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
    this.#requestOnly('mirror')
    startMirror(this.#exchange, this.#service(name))
  }
}
