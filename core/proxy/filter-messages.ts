/** The two messages of an exchange as filters see them. Spec: core/contracts/filter.ts. */
import type { BodyTransform, HeaderFields, RequestView, ResponseView } from '../contracts/filter.ts'
import { MillraceError } from '../host/errors.ts'
import { isOriginForm } from '../http1/target.ts'
import { collectBody } from './collect.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import { FieldList } from './field-list.ts'

/** The hook that runs, or whose promise is waited for. */
export const stage = { other: 0, request: 1, response: 2 } as const
export type Stage = (typeof stage)[keyof typeof stage]

/** What of a message works in one hook only: once its head has told the receiver of it. */
interface HookGate {
  /** @throws MR_PLUGIN_FAULT */
  only(wanted: Stage, what: string): void
}

export class RequestFacade implements RequestView {
  readonly #exchange: Exchange
  readonly #facade: HookGate

  constructor(exchange: Exchange, facade: HookGate) {
    this.#exchange = exchange
    this.#facade = facade
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
    this.#facade.only(stage.request, 'request.transformBody')
    this.#exchange.transformRequest(transform)
  }

  async readBody(limit: number): Promise<Uint8Array> {
    if (this.#exchange.phase !== phase.idle) this.#facade.only(stage.request, 'readBody')
    return collectBody(this.#exchange, limit)
  }
}

export class ResponseFacade implements ResponseView {
  readonly #exchange: Exchange
  readonly #facade: HookGate

  constructor(exchange: Exchange, facade: HookGate) {
    this.#exchange = exchange
    this.#facade = facade
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
    this.#facade.only(stage.response, 'response.transformBody')
    const exchange = this.#exchange
    if (exchange.bodyless || exchange.own !== undefined) return
    exchange.responsePipe ??= exchange.plane.responsePipe(exchange)
    exchange.responsePipe.prepend(transform, exchange.facade?.use)
  }
}
