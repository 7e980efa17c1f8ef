/** An exchange as a filter sees it, with the core's own rules on what is allowed where. */
import type {
  Backend,
  BodyTransform,
  ExchangeOutcome,
  FilterExchange,
  HeaderFields,
  OwnResponse,
  RequestView,
  ResponseView,
} from '../../core/contracts/index.ts'
import { MillraceError } from '../../core/host/errors.ts'
import { FieldList } from '../../core/proxy/field-list.ts'

export interface SampleRequest {
  readonly method?: string
  /** In origin-form. */
  readonly target?: string
  readonly host?: string
  readonly clientAddress?: string
  readonly scheme?: 'http' | 'https'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

function fieldsOf(headers: Readonly<Record<string, string>>): FieldList {
  const fields = new FieldList(undefined, undefined)
  for (const [name, value] of Object.entries(headers)) fields.put(name, value)
  return fields
}

export class SampleResponse implements ResponseView {
  status: number
  readonly headers: HeaderFields
  readonly own: boolean

  constructor(status: number, headers: Readonly<Record<string, string>>, own: boolean) {
    this.status = status
    this.headers = fieldsOf(headers)
    this.own = own
  }

  transformBody(_transform: BodyTransform): void {}
}

export class SampleExchange implements FilterExchange {
  readonly id: string
  readonly request: RequestView
  readonly backends: readonly Backend[]
  readonly route = 'conformance'
  service = 'test'
  response: ResponseView | undefined = undefined
  backend: Backend | undefined = undefined
  attempts = 0
  outcome: ExchangeOutcome | undefined = undefined
  errorCode: string | undefined = undefined
  state: unknown = undefined
  answer: OwnResponse | undefined = undefined
  /** Whether what is only for `onRequest` is allowed now. */
  inRequest = false
  readonly abort = new AbortController()

  /** @param backends of the service; the same array for all its exchanges */
  constructor(id: string, sample: SampleRequest, backends: readonly Backend[]) {
    this.backends = backends
    this.id = id
    this.request = this.#view(sample)
  }

  get signal(): AbortSignal {
    return this.abort.signal
  }

  respond(response: OwnResponse): void {
    this.#only('respond')
    if (!Number.isInteger(response.status) || response.status < 200 || response.status > 599)
      throw new MillraceError('MR_HEADER_INVALID', `status ${response.status} is not from 200 to 599`)
    const fields = new FieldList(undefined, undefined)
    for (const [name, value] of Object.entries(response.headers ?? {})) fields.append(name, value)
    this.answer = response
  }

  prefer(): void {
    this.#only('prefer')
  }

  sendTo(service: string): void {
    this.#only('sendTo')
    this.service = service
  }

  mirror(): void {
    this.#only('mirror')
  }

  #only(what: string): void {
    if (!this.inRequest) throw new MillraceError('MR_PLUGIN_FAULT', `${what} works in onRequest only`)
  }

  #view(sample: SampleRequest): RequestView {
    const only = (what: string): void => this.#only(what)
    const sent = (): boolean => this.attempts > 0
    const body = Buffer.from(sample.body ?? '')
    let target = sample.target ?? '/a/path?query=1'
    const cut = (): number => (target.includes('?') ? target.indexOf('?') : target.length)
    return {
      method: sample.method ?? 'GET',
      get target() {
        return target
      },
      set target(value) {
        if (sent()) throw new MillraceError('MR_TARGET_INVALID', 'the target was already sent')
        if (!/^\/[\x21-\x7e]*$/.test(value))
          throw new MillraceError(
            'MR_TARGET_INVALID',
            `target ${JSON.stringify(value)} is not in origin-form`,
          )
        target = value
      },
      get path() {
        return target.slice(0, cut())
      },
      get query() {
        return target.slice(cut() + 1)
      },
      host: sample.host ?? 'shop.example.com',
      scheme: sample.scheme ?? 'http',
      minorVersion: 1,
      clientAddress: sample.clientAddress ?? '192.0.2.7',
      headers: fieldsOf(sample.headers ?? { accept: '*/*' }),
      bodyLength: body.length,
      transformBody: () => only('transformBody'),
      async readBody(limit) {
        only('readBody')
        if (body.length <= limit) return body
        throw new MillraceError('MR_BODY_TOO_LARGE', `the body is longer than ${limit} bytes`)
      },
    }
  }
}
