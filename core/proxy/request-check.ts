/** What a request head must satisfy before anything is done with it (RFC 9112 §3, http-intermediary 2–4, 8, 9). */
import type { ErrorCode } from '../host/errors.ts'
import { field } from '../http1/fields.ts'
import { isRepeated, readFraming } from '../http1/framing.ts'
import type { MessageHead } from '../http1/head.ts'
import { hasToken } from '../http1/serialize.ts'
import { isHost, parseAbsolute } from '../http1/target.ts'

/** What `checkRequest` found; one object per thread, reused: read it at once. */
export class CheckedRequest {
  method = ''
  target = ''
  host = ''
  /** The last Host that was found well-formed. */
  lastHost = ''
  /** -1 chunked, 0 none. */
  length = 0
  /** The target is not the one in the request line (absolute-form). */
  targetReplaced = false
  /** Host comes from the target or was missing. */
  hostReplaced = false
  expectsContinue = false
  error: ErrorCode | undefined = undefined
  reason = ''

  refuse(error: ErrorCode, reason: string): false {
    this.error = error
    this.reason = reason
    return false
  }
}

// HOT
/** False: `into.error` and `.reason` say why. */
export function checkRequest(head: MessageHead, bodyLimit: number, into: CheckedRequest): boolean {
  into.error = undefined
  into.targetReplaced = false
  into.hostReplaced = false
  into.expectsContinue = false
  // The most frequent method needs no string of its own.
  const method = head.isGet ? 'GET' : head.text.slice(0, head.methodEnd)
  into.method = method
  into.target = head.text.slice(head.targetStart, head.targetEnd)
  if (!readFraming(head)) return into.refuse(head.error!, head.reason)
  into.length = head.chunked ? -1 : head.contentLength > 0 ? head.contentLength : 0
  if (bodyLimit > 0 && into.length > bodyLimit) {
    return into.refuse('MR_BODY_TOO_LARGE', `the body is longer than ${bodyLimit} bytes`)
  }
  if (!checkHost(head, into)) return false
  // 47 is "/": origin-form, the usual one.
  if (into.target.charCodeAt(0) !== 47 && !checkOtherForm(into)) return false
  if (method === 'CONNECT') return into.refuse('MR_NOT_IMPLEMENTED', 'CONNECT is not served')
  if (head.has(field.expect)) return checkExpect(head, into)
  return true
}

// HOT
function checkHost(head: MessageHead, into: CheckedRequest): boolean {
  if (!head.has(field.host)) {
    if (head.minor === 1) return into.refuse('MR_BAD_REQUEST', 'Host is missing')
    into.host = ''
    into.hostReplaced = true
    return true
  }
  const first = head.first[field.host]
  // Requests in a row mostly name one host: it has been checked, and its string exists.
  if (into.lastHost !== '' && head.valueIs(first, into.lastHost)) into.host = into.lastHost
  else {
    into.host = head.value(first)
    if (!isHost(into.host)) return into.refuse('MR_BAD_REQUEST', 'Host is malformed')
    into.lastHost = into.host
  }
  if (isRepeated(head, field.host)) return into.refuse('MR_BAD_REQUEST', 'Host more than once')
  return true
}

function checkOtherForm(into: CheckedRequest): boolean {
  const { target, method } = into
  if (method === 'CONNECT') {
    if (!/:\d{1,5}$/.test(target) || !isHost(target))
      return into.refuse('MR_BAD_REQUEST', 'CONNECT target is not host:port')
    return true
  }
  if (target === '*') {
    return method === 'OPTIONS' || into.refuse('MR_BAD_REQUEST', 'the target * is for OPTIONS only')
  }
  const absolute = parseAbsolute(target)
  if (absolute === undefined)
    return into.refuse('MR_BAD_REQUEST', 'the target is in none of the forms of RFC 9112 §3.2')
  into.host = absolute.authority
  into.target = absolute.origin
  // RFC 9112 §3.2.4: OPTIONS for the server as a whole.
  if (method === 'OPTIONS' && /^https?:\/\/[^/?]*$/i.test(target)) into.target = '*'
  into.targetReplaced = true
  into.hostReplaced = true
  return true
}

function checkExpect(head: MessageHead, into: CheckedRequest): boolean {
  // RFC 9110 §10.1.1: an HTTP/1.0 client cannot mean it.
  if (head.minor === 0) return true
  if (head.joined(field.expect).toLowerCase() !== '100-continue') {
    return into.refuse('MR_EXPECTATION', 'the only expectation known is 100-continue')
  }
  into.expectsContinue = into.length !== 0
  return true
}

/** The protocol to ask the backend for: the first one that the service allows; empty: none. */
export function wantedUpgrade(head: MessageHead, allowed: readonly string[]): string {
  if (!head.has(field.upgrade) || head.minor === 0 || !head.has(field.connection)) return ''
  if (!hasToken(head.joined(field.connection), 'upgrade')) return ''
  for (const part of head.joined(field.upgrade).split(',')) {
    const protocol = part.trim()
    const name = protocol.toLowerCase()
    if (name !== 'h2c' && allowed.includes(name)) return protocol
  }
  return ''
}
