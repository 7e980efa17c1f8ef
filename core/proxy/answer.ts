/** Answers: the backend's, through the filters to the client, and our own. */
import { type ErrorCode, errorTable, statusOf } from '../host/errors.ts'
import { field } from '../http1/fields.ts'
import type { MessageHead } from '../http1/head.ts'
import { nominatedNames } from '../http1/serialize.ts'
import { retryStatus, settleAttempt } from './attempt.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import { FieldList } from './field-list.ts'
import { runResponseFilters } from './filter-chain.ts'

/** An answer that no backend gave. */
export interface OwnAnswer {
  readonly status: number
  readonly fields: FieldList
  readonly body: Buffer
}

// HOT
/** The final response head has come. False: the body is held back until `upstream.resume`. */
export function forwardHead(
  exchange: Exchange,
  head: MessageHead,
  length: number,
  bodyless: boolean,
  now: number,
): boolean {
  const plane = exchange.plane
  // A reading is dated with its turn, a write with itself: within one turn the answer is not before its request.
  const firstByteMs = Math.max(now, exchange.sentMs)
  exchange.firstByteMs = firstByteMs
  if (exchange.service!.retriesOnStatus && retryStatus(exchange, head.status)) {
    plane.giveHead(head)
    return true
  }
  exchange.phase = phase.answering
  exchange.responseHead = head
  exchange.status = head.status
  exchange.responseLength = length
  exchange.bodyless = bodyless
  if (head.has(field.connection)) exchange.responseNominated = nominatedNames(head)
  plane.metrics.upstreamTime(exchange.service!.index, firstByteMs - exchange.sentMs)
  if (exchange.entered > 0 && !runResponseFilters(exchange, exchange.entered - 1, startAnswer)) return false
  startAnswer(exchange)
  // Without filters nobody reads it any more: the next answer has it, while it is warm in the cache (docs/decisions/0007).
  if (exchange.chain === undefined && exchange.responseHead === head) {
    exchange.responseHead = undefined
    plane.giveHead(head)
  }
  return true
}

// HOT
/** The head goes to the client; filters are through. */
function startAnswer(exchange: Exchange): void {
  if (exchange.statusEdited) followStatus(exchange)
  if (exchange.own) {
    deliverOwn(exchange, exchange.own)
    return
  }
  if (exchange.responsePipe) exchange.responseLength = -1
  exchange.client.sendHead(exchange)
}

/** A filter has changed the status, and with it perhaps whether there is a body (RFC 9110 §6.4.1). */
function followStatus(exchange: Exchange): void {
  const { status, method, bodyless } = exchange
  exchange.bodyless = method === 'HEAD' || status === 204 || status === 304
  if (exchange.own || method === 'HEAD' || exchange.bodyless === bodyless) return
  exchange.responseFields ??= new FieldList(exchange.responseHead, exchange.responseNominated)
  if (exchange.bodyless) exchange.responseFields.drop('Content-Length')
  else exchange.responseFields.put('Content-Length', '0')
}

/** Text of an error answer: the code for machines, the words for people, the id for whoever is asked. */
function errorBody(exchange: Exchange, code: ErrorCode): Buffer {
  return Buffer.from(`${code}: ${errorTable[code].text}\nrequest id: ${exchange.id}\n`)
}

const retryAfterSeconds = '1'

/** Errors that say nothing of the backend. */
const cancelling: ReadonlySet<ErrorCode> = new Set([
  'MR_BODY_TOO_LARGE',
  'MR_REQUEST_TIMEOUT',
  'MR_PLUGIN_FAULT',
  'MR_PLUGIN_TIMEOUT',
])

/** Gives up: an error answer, or, where an answer has begun, its visible end. */
export function answerError(exchange: Exchange, code: ErrorCode, detail: string): void {
  if (exchange.phase === phase.idle) return
  exchange.errorCode ??= code
  exchange.plane.metrics.rejected(exchange.plane.errorIndex[code])
  if (exchange.attemptOpen) settleAttempt(exchange, cancelling.has(code) ? 'cancelled' : 'failure')
  exchange.upstream?.abort(exchange)
  exchange.upstream = undefined
  if (exchange.waitList) exchange.leaveQueue()
  if (detail !== '') exchange.plane.log.debug(`${code}: ${detail}`, { id: exchange.id })
  // While a response filter thinks, the client has seen nothing: it gets an answer, which that filter does not see again.
  if (exchange.holdsAnswer) exchange.ownFiltered = true
  if (exchange.phase === phase.answering && exchange.own === undefined && !exchange.holdsAnswer) {
    exchange.client.abort()
    exchange.finish(code === 'MR_DEADLINE' || code === 'MR_UPSTREAM_IDLE' ? 'timeout' : 'backend-abort')
    return
  }
  if (exchange.phase === phase.tunnel) {
    exchange.client.abort()
    exchange.finish('tunnel')
    return
  }
  const fields = new FieldList(undefined, undefined)
  fields.put('Content-Type', 'text/plain; charset=utf-8')
  fields.put('Cache-Control', 'no-store')
  const status = statusOf(code)
  if (status === 503) fields.put('Retry-After', retryAfterSeconds)
  sendOwn(exchange, { status, fields, body: errorBody(exchange, code) })
}

/** Sends an answer of our own; it passes the filters that were entered, in reverse. */
export function sendOwn(exchange: Exchange, own: OwnAnswer): void {
  exchange.phase = phase.answering
  exchange.own = own
  exchange.status = own.status
  exchange.responseHead = undefined
  exchange.responseFields = own.fields
  exchange.responseLength = own.body.length
  exchange.bodyless = exchange.method === 'HEAD' || own.status === 204 || own.status === 304
  // A fault in here answers once more with an own answer; the filters that ran are not run again.
  const entered = exchange.ownFiltered ? 0 : exchange.entered
  exchange.ownFiltered = true
  if (entered > 0 && !runResponseFilters(exchange, entered - 1, startAnswer)) return
  startAnswer(exchange)
}

function deliverOwn(exchange: Exchange, own: OwnAnswer): void {
  const client = exchange.client
  if (client.gone) {
    exchange.finish('client-abort')
    return
  }
  exchange.responsePipe = undefined
  exchange.responseLength = own.body.length
  client.sendHead(exchange)
  if (!exchange.bodyless && own.body.length > 0) {
    exchange.bytesOut += own.body.length
    client.sendData(own.body, 0, own.body.length, '')
  }
  client.sendEnd(undefined, undefined)
  exchange.finish(exchange.errorCode ? 'error' : 'ok')
}
