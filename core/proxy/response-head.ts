/** The head of an answer as a client gets it. */
import { STATUS_CODES } from 'node:http'
import { field } from '../http1/fields.ts'
import { keptFields } from '../http1/serialize.ts'
import type { Exchange } from './exchange.ts'

/** How the end of the answer's body is told. */
export const framing = { none: 0, length: 1, chunked: 2, close: 3 } as const

const noSkip: ReadonlySet<string> = new Set(['content-length'])
const keepSkip: ReadonlySet<string> = new Set()
/** RFC 9110 §7.6.3: names the version that was received. */
const vias = ['Via: 1.0 millrace\r\n', 'Via: 1.1 millrace\r\n']
/** The same, and the empty line that ends a head. */
const viaEnds = ['Via: 1.0 millrace\r\n\r\n', 'Via: 1.1 millrace\r\n\r\n']
/** Of `HTTP/1.1 200 `, up to the reason. */
const statusLineBytes = 13
const chunked = 'Transfer-Encoding: chunked\r\n'

// HOT
/**
 * Latin1 text from the status line to the empty line.
 * @param how `framing.*`
 * @param connection `Connection: …` with its CRLF, or empty
 */
export function responseHead(exchange: Exchange, how: number, connection: string): string {
  const { responseHead: head, responseFields: fields, own } = exchange
  const via = vias[head?.minor ?? 1]
  const tail =
    how === framing.chunked
      ? `${via}${chunked}${connection}\r\n`
      : connection === ''
        ? viaEnds[head?.minor ?? 1]
        : `${via}${connection}\r\n`
  if (own !== undefined || head === undefined) {
    const length =
      exchange.status === 204 || exchange.status === 304 ? '' : `Content-Length: ${own?.body.length ?? 0}\r\n`
    const id = fields!.has('x-request-id') ? '' : `X-Request-Id: ${exchange.id}\r\n`
    return `${statusLine(exchange.status)}${fields!.lines(noSkip)}${length}${dateLine(exchange)}${id}${connection}\r\n`
  }
  const piped = exchange.responsePipe !== undefined
  if (fields?.changed === true)
    return startLine(exchange) + fields.lines(piped || exchange.status === 204 ? noSkip : keepSkip) + tail
  // RFC 9110 §8.6: no Content-Length in a 204.
  const drop = piped || exchange.status === 204 ? 1 << field.contentLength : 0
  // A status line without the space behind its code is let pass, but not passed on (RFC 9112 §4).
  if (head.minor === 1 && !exchange.statusEdited && head.targetStart === statusLineBytes) {
    return keptFields(head, drop, exchange.responseNominated, 0) + tail
  }
  return startLine(exchange) + keptFields(head, drop, exchange.responseNominated) + tail
}

function startLine(exchange: Exchange): string {
  const head = exchange.responseHead!
  if (exchange.statusEdited) return statusLine(exchange.status)
  return `HTTP/1.1 ${head.status} ${head.text.slice(head.targetStart, head.targetEnd)}\r\n`
}

export function statusLine(status: number): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
}

/** RFC 9110 §6.6.1: answers that originate here carry a Date. */
function dateLine(exchange: Exchange): string {
  return `Date: ${new Date(exchange.plane.wall()).toUTCString()}\r\n`
}
