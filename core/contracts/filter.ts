/** Kind `filter`: sees and changes exchanges. One instance per use and data thread. Filters stand at the top level, on
 * a route and on a service, and run in that order; the answer passes them in reverse. */
import type { Backend } from './algorithm.ts'

/** Names, in lower case, of the fields that belong to the core: framing, hop-by-hop and forwarding. No filter can write or
 * remove them. */
export const protectedFields: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'forwarded',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
])

/**
 * Header fields of a message. Names are matched without regard to case; the case and order of what is not touched
 * are kept. Writes are validated: a name must be a token, a value must hold no control characters but tab.
 * Fields of the core, {@link protectedFields}, cannot be written.
 */
export interface HeaderFields {
  /** First value, or undefined. Several fields of one name: {@link getAll}. */
  get(name: string): string | undefined
  getAll(name: string): string[]
  has(name: string): boolean
  /** Replaces every field of the name by one. @throws MR_HEADER_INVALID */
  set(name: string, value: string): void
  /** Adds a field after the others. @throws MR_HEADER_INVALID */
  append(name: string, value: string): void
  /** Removes every field of the name. @throws MR_HEADER_INVALID */
  remove(name: string): void
  /** Every field in order, case kept. */
  entries(): [name: string, value: string][]
}

/** Changes a body while it streams. Attached by a filter; framing becomes chunked (or close-delimited for HTTP/1.0). A throw
 * ends the exchange with 500 `MR_PLUGIN_FAULT`, an error with the code `MR_BODY_TOO_LARGE` with 413; an answer that has begun is cut off. */
export interface BodyTransform {
  /**
   * One piece of the body. Call `push` any number of times. A promise pauses the body until it settles.
   * The piece is the transform's to keep; pushed pieces are the core's.
   */
  transform(chunk: Uint8Array, push: (chunk: Uint8Array) => void): void | PromiseLike<void>
  /** After the last piece, before trailers. Not called when the body was cut short. */
  flush?(push: (chunk: Uint8Array) => void): void | PromiseLike<void>
}

export interface RequestView {
  readonly method: string
  /** Request target in origin-form, byte for byte as it will be forwarded (latin1). Writable until the first try;
   * a write is validated like a client's target. Routing is not repeated. @throws MR_TARGET_INVALID */
  target: string
  /** Target without the query. */
  readonly path: string
  /** Without `?`; empty when there is none. */
  readonly query: string
  /** Value of Host, possibly empty. */
  readonly host: string
  readonly scheme: 'http' | 'https'
  /** 0 or 1: the minor version of HTTP/1.x the client spoke. */
  readonly minorVersion: number
  /** Address of the client: the peer's, or what the PROXY protocol or a trusted proxy's X-Forwarded-For says. */
  readonly clientAddress: string
  readonly headers: HeaderFields
  /** Bytes of the body: 0 where there is none, -1 where it is not known (chunked, or behind a transform). */
  readonly bodyLength: number
  /** Attaches a streaming transform, in `onRequest` only. The first filter's transform sees the client's bytes first, also
   * where a filter between has read the body. @throws MR_PLUGIN_FAULT elsewhere, also after the deadline of the hook */
  transformBody(transform: BodyTransform): void
  /**
   * Buffers the whole request body, in `onRequest` only, as the transforms attached so far leave it; it is forwarded
   * afterwards all the same. Every filter that reads has its own limit.
   * @throws MR_BODY_TOO_LARGE (413) when it is longer than `limit` bytes; MR_PLUGIN_FAULT outside of `onRequest`, also after its
   * deadline
   */
  readBody(limit: number): Promise<Uint8Array>
}

export interface ResponseView {
  /** 200–599; writable in `onResponse`. */
  status: number
  readonly headers: HeaderFields
  /** True when the answer is the core's or a filter's, not a backend's. */
  readonly own: boolean
  /** Attaches a streaming transform, in `onResponse` only. Ignored where the answer has no body (HEAD, 204, 304).
   * @throws MR_PLUGIN_FAULT elsewhere, also after the deadline of the hook */
  transformBody(transform: BodyTransform): void
}

/** An answer made by a filter. */
export interface OwnResponse {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** How an exchange ended; in the access log and the metrics under the same words. */
export type ExchangeOutcome =
  /** An answer was delivered whole, whatever its status. */
  | 'ok'
  /** The client went away before the end. */
  | 'client-abort'
  /** The backend broke off after its answer had begun. */
  | 'backend-abort'
  /** The answer was an error of our own (`errorCode` says which). */
  | 'error'
  /** A deadline cut the exchange off after its answer had begun. */
  | 'timeout'
  /** Became a tunnel and ended. */
  | 'tunnel'

/** One exchange as a filter sees it. The object is reused: do not keep it past `onDone`. */
export interface FilterExchange {
  /** Request id: the client's `x-request-id` where it is safe to log and pass on (1–128 of `A-Za-z0-9._~:/+=@,-`), else made. */
  readonly id: string
  readonly request: RequestView
  /** In `onResponse` and `onDone`; undefined in `onDone` when no answer was begun. */
  readonly response: ResponseView | undefined
  /** Names in the config; `route` is its index key as `millrace explain` prints it. */
  readonly route: string
  readonly service: string
  /** All backends of the service, in config order; the same array until the config changes. */
  readonly backends: readonly Backend[]
  /** The backend of the current or last try. */
  readonly backend: Backend | undefined
  /** Tries so far. */
  readonly attempts: number
  /** In `onDone`. */
  readonly outcome: ExchangeOutcome | undefined
  /** `MR_…` of our own error answer, if any. */
  readonly errorCode: string | undefined
  /** One value of this filter instance for this exchange, from hook to hook. Undefined at first. */
  state: unknown
  /** Fires when the client goes away or the exchange is cut off; made when first read. */
  readonly signal: AbortSignal
  /** Answers now: no backend is asked, later filters are not entered. In `onRequest` only. */
  respond(response: OwnResponse): void
  /**
   * Asks for this backend (object, or its URL) first. Ignored when it is down, drained, refused by its breaker or at its
   * connection limit; load bound, slow start, zones and tiers do not keep from it. In `onRequest` only.
   */
  prefer(backend: Backend | string): void
  /** Sends the exchange to another service; its own filters run after the current chain's. In `onRequest` only.
   * @throws MR_SERVICE_UNKNOWN */
  sendTo(service: string): void
  /** Sends a copy to another service and ignores its answer. The head is copied as it stands now, the body as the client
   * sends it, or as `readBody` has given it; longer ones than that service's `retries.bodyBuffer` are not mirrored. In `onRequest` only. @throws MR_SERVICE_UNKNOWN */
  mirror(service: string): void
}

/**
 * An instance of a filter. All hooks are optional. A throw ends the exchange with 500 `MR_PLUGIN_FAULT` (a filter with
 * the slot key `failOpen: true` is skipped instead) and is logged with plugin and hook. So does a returned value, or a promise
 * of one: a filter answers with `exchange.respond`, never with a result, which nobody would see (`onDone` alone may return
 * what it likes). Async hooks have a deadline (slot key `deadline`, default 5 s, then 500 `MR_PLUGIN_TIMEOUT`); while one runs
 * the client is not read.
 */
export interface Filter {
  /** Once per exchange, before a backend is picked. Sync where possible: a promise costs. */
  onRequest?(exchange: FilterExchange): void | PromiseLike<void>
  /** Before each try, after the pick; `exchange.backend` is set. Header writes hold for this and later tries. Sync. */
  // biome-ignore lint/suspicious/noConfusingVoidType: beside undefined, void takes no function that returns a value
  onAttempt?(exchange: FilterExchange): void | undefined
  /** When a final response head has come (or an own answer was made), in reverse order, only where `onRequest` was
   * entered. */
  onResponse?(exchange: FilterExchange): void | PromiseLike<void>
  /** Exactly once, in reverse order, only where `onRequest` was entered; also after an abort. Sync. */
  onDone?(exchange: FilterExchange): void
  /** New options for the same instance. Absent: the instance is made anew. */
  reconfigure?(options: never): void
}
