/** Everything that an exchange knows. What it does stands in exchange.ts and in the files that it calls. */
import type { BreakerGate } from '../contracts/circuit-breaker.ts'
import type { ExchangeOutcome } from '../contracts/filter.ts'
import type { ErrorCode } from '../host/errors.ts'
import { field } from '../http1/fields.ts'
import type { MessageHead } from '../http1/head.ts'
import type { OwnAnswer } from './answer.ts'
import type { Collected, Collector } from './collect.ts'
import { Deadline } from './deadlines.ts'
import { FieldList } from './field-list.ts'
import type { FilterChain } from './filter-chain.ts'
import type { ExchangeFacade } from './filter-exchange.ts'
import { Ids, isRequestId } from './ids.ts'
import type { Mirror } from './mirror.ts'
import type { PlaneContext } from './plane-context.ts'
import type { RouteRuntime, Runtime } from './runtime.ts'
import type { HttpBackend, ServiceRuntime } from './service-runtime.ts'
import type { AttemptFailure, ClientStream, UpstreamStream } from './stream.ts'
import type { TransformPipe } from './transform.ts'

export const phase = {
  idle: 0,
  filtering: 1,
  queued: 2,
  connecting: 3,
  sent: 4,
  answering: 5,
  tunnel: 6,
} as const

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

export abstract class ExchangeState extends Deadline {
  readonly plane: PlaneContext
  /** Counts exchanges of this object: what an asynchronous part compares before it goes on. */
  serial = 0
  /** Something asynchronous still refers to the object: it is not reused. */
  leaked = false
  /** A response filter's promise is pending: nothing of the answer may pass. */
  holdsAnswer = false

  phase: number = phase.idle
  client: ClientStream = undefined as unknown as ClientStream
  runtime: Runtime = undefined as unknown as Runtime
  route: RouteRuntime | undefined = undefined
  service: ServiceRuntime | undefined = undefined
  chain: FilterChain | undefined = undefined
  /** Filters whose `onRequest` was entered. */
  entered = 0
  facade: ExchangeFacade | undefined = undefined

  // The request.
  head: MessageHead = undefined as unknown as MessageHead
  method = ''
  target = ''
  host = ''
  /** Of the body: -1 unknown (chunked), 0 none. */
  requestLength = 0
  nominated: readonly string[] | undefined = undefined
  fields: FieldList | undefined = undefined
  /** The protocol asked for by Upgrade, if the service allows it; else empty. */
  upgrade = ''
  #id = ''
  /** Lines that were sent with the id in them; the id is cut from them when somebody asks for it. */
  #idLines = ''
  requestDone = false
  requestTrailers: MessageHead | undefined = undefined
  requestPipe: TransformPipe | undefined = undefined
  /** Body from its first byte, while it may have to be sent again. */
  buffered: Buffer[] = []
  bufferedBytes = 0
  keepsBody = false
  /** Filters that wait for the whole body. */
  collectors: readonly Collector[] | undefined = undefined
  /** A body that was collected, until it passes the transforms that were attached behind its reader. */
  collected: Collected | undefined = undefined

  // Attempts.
  backend: HttpBackend | undefined = undefined
  upstream: UpstreamStream | undefined = undefined
  preferred: HttpBackend | undefined = undefined
  tried: HttpBackend[] | undefined = undefined
  gate: BreakerGate | undefined = undefined
  token = 0
  attemptOpen = false
  attempts = 0
  /** Its deadline in the queue is the request's own. */
  queueEndsRequest = false
  /** Counted in the service's row of active exchanges. */
  keepsActive = false
  /** Time spent in filters' promises and queues: not the proxy's overhead. */
  waitedMs = 0
  waitStartMs = 0
  /** Attempts that cost: what `retries.attempts` counts. */
  costly = 0
  replayed = false
  /** Its service had no backend left, and what stands for it was taken. */
  fellBack = false
  isRetrying = false
  lastFailure: AttemptFailure | undefined = undefined

  // The response.
  responseHead: MessageHead | undefined = undefined
  status = 0
  responseLength = -1
  bodyless = false
  responseNominated: readonly string[] | undefined = undefined
  responseFields: FieldList | undefined = undefined
  responsePipe: TransformPipe | undefined = undefined
  responseTrailers: MessageHead | undefined = undefined
  statusEdited = false
  /** The request line of the head is forwarded as it came. */
  startLineKept = true
  /** Host is `exchange.host`, not what the head's own field says. */
  hostReplaced = false
  /** New value of Max-Forwards; empty: untouched. */
  nextMaxForwards = ''
  /** We have sent the 100 that the client waited for. */
  expectAnswered = false
  mirrors: Mirror[] | undefined = undefined
  own: OwnAnswer | undefined = undefined
  /** Response filters have seen an own answer: they do not see a second one. */
  ownFiltered = false
  errorCode: ErrorCode | undefined = undefined
  outcome: ExchangeOutcome | undefined = undefined

  // Times (ms, monotonic) and counts.
  startMs = 0
  sentMs = 0
  firstByteMs = 0
  overheadMs = 0
  /** The piece that is being delivered stands in memory that will not last. */
  mustCopy = false
  /** Bytes before the piece that is being delivered, which the writer may overwrite. */
  room = 0
  /** First byte of a streamed answer handed to the client; 0 where head and end went out together. */
  clientWriteMs = 0
  bytesIn = 0
  bytesOut = 0

  constructor(plane: PlaneContext) {
    super()
    this.plane = plane
  }

  get id(): string {
    if (this.#id === '' && this.#idLines !== '') this.#id = Ids.idOf(this.#idLines)
    if (this.#id === '') {
      const given = this.head.known(field.requestId)
      this.#id = given !== undefined && isRequestId(given) ? given : this.plane.ids.requestId()
    }
    return this.#id
  }

  /** Its id has been made or read. */
  get hasId(): boolean {
    return this.#id !== '' || this.#idLines !== '' || this.head.has(field.requestId)
  }

  // HOT
  /** X-Request-Id and traceparent for a request that has neither, up to the end of its head; they set the id. */
  takeIdLines(): string {
    this.#idLines = this.plane.ids.bothLines()
    return this.#idLines
  }

  get path(): string {
    const query = this.target.indexOf('?')
    return query < 0 ? this.target : this.target.slice(0, query)
  }

  get clientAddress(): string {
    return this.client.address
  }

  get requestFields(): FieldList {
    this.fields ??= new FieldList(this.head, this.nominated)
    return this.fields
  }

  get isIdempotent(): boolean {
    return idempotent.has(this.method)
  }

  /** The request, sent again from its start, would be the same. */
  get canResend(): boolean {
    return this.bytesIn === 0 || this.keepsBody
  }

  /** May travel behind another exchange on one connection (http-intermediary 19). */
  get mayShare(): boolean {
    const method = this.method
    if (method !== 'GET' && method !== 'HEAD') return false
    const alone =
      (1 << field.cookie) | (1 << field.authorization) | (1 << field.upgrade) | (1 << field.expect)
    return this.requestLength === 0 && (this.head.seen & alone) === 0 && this.fields?.changed !== true
  }

  // HOT
  /** Back to the state of a new object. Over 60 lines: a line for each field. */
  reset(): void {
    this.phase = phase.idle
    this.holdsAnswer = false
    // Free exchanges are a stack, whose lowest may lie there for days: they must hold no snapshot that has been replaced.
    this.runtime = undefined as unknown as Runtime
    this.route = undefined
    this.service = undefined
    this.chain = undefined
    this.entered = 0
    this.nominated = undefined
    this.fields = undefined
    this.upgrade = ''
    this.#id = ''
    this.#idLines = ''
    this.requestTrailers = undefined
    this.requestPipe = undefined
    if (this.buffered.length > 0) this.buffered = []
    this.bufferedBytes = 0
    this.keepsBody = false
    this.collectors = undefined
    this.collected = undefined
    this.backend = undefined
    this.upstream = undefined
    this.preferred = undefined
    this.tried = undefined
    this.gate = undefined
    this.token = 0
    this.attempts = 0
    this.waitedMs = 0
    this.costly = 0
    this.replayed = false
    this.fellBack = false
    this.isRetrying = false
    this.lastFailure = undefined
    this.responseHead = undefined
    this.status = 0
    this.responseLength = -1
    this.bodyless = false
    this.responseNominated = undefined
    this.responseFields = undefined
    this.responsePipe = undefined
    this.responseTrailers = undefined
    this.statusEdited = false
    this.startLineKept = true
    this.hostReplaced = false
    this.expectAnswered = false
    this.nextMaxForwards = ''
    this.mirrors = undefined
    this.own = undefined
    this.errorCode = undefined
    this.outcome = undefined
    this.sentMs = 0
    this.firstByteMs = 0
    this.overheadMs = 0
    this.clientWriteMs = 0
    this.room = 0
    this.mustCopy = false
    this.ownFiltered = false
    this.waitStartMs = 0
    this.bytesIn = 0
    this.bytesOut = 0
  }
}
