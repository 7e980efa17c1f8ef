/** How long a message is (RFC 9112 §6), decided once and strictly: what two parsers could read in two ways is refused. */
import type { ErrorCode } from '../host/errors.ts'
import { field } from './fields.ts'
import { type MessageHead, stride } from './head.ts'

/** The value at [start, end): digits only, at most 2^53 − 1; -1 for anything else. */
function parseLength(text: string, start: number, end: number): number {
  if (start === end || end - start > 16) return -1
  let length = 0
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    length = length * 10 + digit
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1
}

/** True when a known field occurs more than once. */
export function isRepeated(head: MessageHead, id: number): boolean {
  return (head.repeated & (1 << id)) !== 0
}

function refuse(head: MessageHead, error: ErrorCode, reason: string): false {
  head.error = error
  head.reason = reason
  return false
}

/** Transfer codings that exist (IANA HTTP Transfer Coding Registry), beside chunked. */
const otherCodings = new Set([
  'compress',
  'deflate',
  'gzip',
  'identity',
  'x-compress',
  'x-gzip',
  'br',
  'zstd',
])

/** Codings that we do not speak are 501; what only looks like chunked to some is 400. */
function transferError(value: string): ErrorCode {
  const codings = value.toLowerCase().split(',')
  const last = codings.pop()!.trim()
  const known = codings.every((coding) => otherCodings.has(coding.trim()))
  return known && (otherCodings.has(last) || (last === 'chunked' && codings.length > 0))
    ? 'MR_NOT_IMPLEMENTED'
    : 'MR_BAD_REQUEST'
}

/**
 * HOT Sets `contentLength` and `chunked` of a complete head. False: refused, `error` and `reason` say why.
 * Both fields at once are refused rather than repaired (RFC 9112 §6.3 rule 3 allows either).
 */
export function readFraming(head: MessageHead): boolean {
  const framing = head.seen & ((1 << field.contentLength) | (1 << field.transferEncoding))
  if (framing === 0) return true
  if (head.has(field.transferEncoding)) {
    if (head.has(field.contentLength))
      return refuse(head, 'MR_BAD_REQUEST', 'Content-Length beside Transfer-Encoding')
    if (head.minor === 0) return refuse(head, 'MR_BAD_REQUEST', 'Transfer-Encoding in HTTP/1.0')
    if (isRepeated(head, field.transferEncoding))
      return refuse(head, 'MR_BAD_REQUEST', 'Transfer-Encoding more than once')
    const value = head.value(head.first[field.transferEncoding])
    // A tab behind the value is white space to us and part of the value to others.
    const after = head.text.charCodeAt(head.at[head.first[field.transferEncoding] * stride + 3])
    if (after === 9 || (value !== 'chunked' && value.toLowerCase() !== 'chunked')) {
      return refuse(head, transferError(value), 'Transfer-Encoding is not the single value chunked')
    }
    head.chunked = true
    return true
  }
  if (isRepeated(head, field.contentLength))
    return refuse(head, 'MR_BAD_REQUEST', 'Content-Length more than once')
  const i = head.first[field.contentLength] * stride
  const length = parseLength(head.text, head.at[i + 2], head.at[i + 3])
  if (length < 0) return refuse(head, 'MR_BAD_REQUEST', 'Content-Length is not a number from 0 to 2^53-1')
  head.contentLength = length
  return true
}

/** RFC 9110 §6.4.1: answers that have no body whatever their fields say. */
export function isBodyless(method: string, status: number): boolean {
  return status === 204 || status === 304 || status < 200 || method === 'HEAD'
}
