/**
 * The head parser: bytes in, offsets out, for requests and responses (RFC 9112 §2–5). Every byte is validated; nothing is
 * repaired. It stops where the bytes end and goes on from there, so that input in any pieces costs the same.
 *
 */
import type { ErrorCode } from '../host/errors.ts'
import { field, identify, isFramingLookalike } from './fields.ts'
import { type MessageHead, stride } from './head.ts'
import { isFieldValue, isTarget, isToken } from './tables.ts'

export interface HeadLimits {
  /** Bytes of a whole head. */
  readonly head: number
  readonly fields: number
  readonly target: number
}

/** Results of `parseHead`. */
export const headResult = { more: 0, done: 1, refused: 2 } as const

const state = {
  start: 0,
  method: 1,
  target: 2,
  version: 3,
  line: 4,
  name: 5,
  space: 6,
  value: 7,
  valueEnd: 8,
  end: 9,
  status: 10,
  reason: 11,
} as const

const CR = 13
const LF = 10
const SP = 32
const HTAB = 9

function refuse(head: MessageHead, error: ErrorCode, reason: string): number {
  head.error = error
  head.reason = reason
  return headResult.refused
}

/** Reads `HTTP/1.x` at `pos`; 0 or 1, -1 when it is no version, -2 when it is another one. */
function readVersion(bytes: Uint8Array, pos: number): number {
  if (bytes[pos] !== 72 || bytes[pos + 1] !== 84 || bytes[pos + 2] !== 84 || bytes[pos + 3] !== 80) return -1
  if (bytes[pos + 4] !== 47 || bytes[pos + 6] !== 46) return -1
  const major = bytes[pos + 5] - 48
  const minor = bytes[pos + 7] - 48
  if (major < 0 || major > 9 || minor < 0 || minor > 9) return -1
  return major === 1 && minor <= 1 ? minor : -2
}

/** HOT The two methods that are asked for all the time, once `methodEnd` is known. */
export function nameMethod(head: MessageHead, bytes: Uint8Array, base: number): void {
  const { methodEnd } = head
  // "G E T", "H E A D"
  head.isGet = methodEnd === 3 && bytes[base] === 71 && bytes[base + 1] === 69 && bytes[base + 2] === 84
  head.isHead =
    methodEnd === 4 &&
    bytes[base] === 72 &&
    bytes[base + 1] === 69 &&
    bytes[base + 2] === 65 &&
    bytes[base + 3] === 68
}

/** Records the field whose name is [start, end), offsets from `base`. False: there is no room for it. */
function addField(head: MessageHead, bytes: Uint8Array, base: number, start: number, end: number): boolean {
  const index = head.count
  if (index >= head.ids.length) return false
  const id = identify(bytes, base + start, base + end)
  head.at[index * stride] = start
  head.at[index * stride + 1] = end
  head.ids[index] = id
  if (id !== 0) {
    const bit = 1 << id
    if ((head.seen & bit) !== 0) head.repeated |= bit
    else {
      head.seen |= bit
      head.first[id] = index
    }
  }
  head.count = index + 1
  return true
}

/** True when a name that begins with c or t would pass for a framing field elsewhere. */
function looksLikeFraming(head: MessageHead, bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start] | 32
  if (first !== 99 && first !== 116) return false
  const id = head.ids[head.count - 1]
  if (id === field.contentLength || id === field.transferEncoding) return false
  return isFramingLookalike(bytes, start, end)
}

/**
 * Over 60 lines: one state machine, whose states share `pos` and `mark`; cut into functions it would pay for their hand-over
 * at each field.
 *
 * HOT Goes on reading a head whose first byte is `bytes[base]`, up to `end`. `head` remembers how far it came: call again
 * with more bytes behind the same ones (they may have moved: pass the new `base`).
 *
 * @returns `headResult.more`, `.done` (then `head.length` is set and `head.text` can be made by `finish`) or `.refused`
 */
export function parseHead(
  head: MessageHead,
  bytes: Uint8Array,
  base: number,
  end: number,
  isRequest: boolean,
  limits: HeadLimits,
): number {
  let pos = base + head.scanned
  let now = head.state
  let mark = head.mark
  const cut = base + limits.head
  const stop = end < cut ? end : cut
  if (now === state.start) {
    // RFC 9112 §2.2: one empty line before a request line is let pass. The caller counts: it skips it by base.
    now = isRequest ? state.method : state.status
  }
  while (pos < stop) {
    // A field line goes through its states one behind the other: a chain of tests costs less than a switch for each.
    if (now === state.line) {
      if (bytes[pos] === CR) {
        pos++
        now = state.end
        continue
      }
      mark = pos - base
      now = state.name
    }
    if (now === state.name) {
      while (pos < stop && isToken[bytes[pos]] === 1) pos++
      if (pos === stop) break
      const start = base + mark
      if (bytes[pos] !== 58 || pos === start) {
        return refuse(head, 'MR_BAD_REQUEST', 'field name is not a token followed by a colon')
      }
      if (head.count >= limits.fields || !addField(head, bytes, base, mark, pos - base)) {
        return refuse(head, 'MR_HEAD_TOO_LARGE', `more than ${limits.fields} fields`)
      }
      if (looksLikeFraming(head, bytes, start, pos)) {
        return refuse(head, 'MR_BAD_REQUEST', 'field name could pass for Content-Length or Transfer-Encoding')
      }
      pos++
      now = state.space
    }
    if (now === state.space) {
      while (pos < stop && (bytes[pos] === SP || bytes[pos] === HTAB)) pos++
      if (pos === stop) break
      mark = pos - base
      now = state.value
    }
    if (now === state.value) {
      while (pos < stop && isFieldValue[bytes[pos]] === 1) pos++
      if (pos === stop) break
      if (bytes[pos] !== CR)
        return refuse(head, 'MR_BAD_REQUEST', 'control character or bare LF in a field value')
      let last = pos
      while (last > base + mark && (bytes[last - 1] === SP || bytes[last - 1] === HTAB)) last--
      const i = (head.count - 1) * stride
      head.at[i + 2] = mark
      head.at[i + 3] = last - base
      pos++
      now = state.valueEnd
      if (pos === stop) break
    }
    if (now === state.valueEnd) {
      if (bytes[pos] !== LF) return refuse(head, 'MR_BAD_REQUEST', 'bare CR in a field value')
      pos++
      now = state.line
      continue
    }
    switch (now) {
      case state.method: {
        while (pos < stop && isToken[bytes[pos]] === 1) pos++
        if (pos === stop) break
        if (bytes[pos] !== SP || pos === base) return refuse(head, 'MR_BAD_REQUEST', 'method is not a token')
        head.methodEnd = pos - base
        nameMethod(head, bytes, base)
        head.targetStart = ++pos - base
        now = state.target
        break
      }
      case state.target: {
        const limit = base + head.targetStart + limits.target
        while (pos < stop && isTarget[bytes[pos]] === 1) pos++
        if (pos > limit)
          return refuse(head, 'MR_TARGET_TOO_LONG', `target is longer than ${limits.target} bytes`)
        if (pos === stop) break
        if (bytes[pos] !== SP || pos === base + head.targetStart) {
          return refuse(head, 'MR_BAD_REQUEST', 'target holds a forbidden byte or the version is missing')
        }
        head.targetEnd = pos - base
        pos++
        now = state.version
        break
      }
      case state.version: {
        if (stop - pos < 10) {
          mark = 0
          head.scanned = pos - base
          head.state = now
          head.mark = mark
          if (stop === cut)
            return refuse(head, 'MR_HEAD_TOO_LARGE', `head is larger than ${limits.head} bytes`)
          return headResult.more
        }
        const minor = readVersion(bytes, pos)
        if (minor === -1 || bytes[pos + 8] !== CR || bytes[pos + 9] !== LF) {
          return refuse(head, 'MR_BAD_REQUEST', 'malformed HTTP version')
        }
        if (minor === -2) return refuse(head, 'MR_HTTP_VERSION', 'only HTTP/1.0 and HTTP/1.1 are spoken here')
        head.minor = minor
        pos += 10
        head.fieldsStart = pos - base
        now = state.line
        break
      }
      case state.status: {
        // "HTTP/1.1 200 " – the reason may be empty, and many servers then leave its space out too.
        if (stop - pos < 13) {
          head.scanned = pos - base
          head.state = now
          if (stop === cut)
            return refuse(head, 'MR_HEAD_TOO_LARGE', `head is larger than ${limits.head} bytes`)
          return headResult.more
        }
        const minor = readVersion(bytes, pos)
        const a = bytes[pos + 9] - 48
        const b = bytes[pos + 10] - 48
        const c = bytes[pos + 11] - 48
        if (minor < 0 || bytes[pos + 8] !== SP || a < 1 || a > 9 || b < 0 || b > 9 || c < 0 || c > 9) {
          return refuse(head, 'MR_UPSTREAM_INVALID', 'malformed status line')
        }
        head.minor = minor
        head.status = a * 100 + b * 10 + c
        pos += 12
        if (bytes[pos] === SP) pos++
        else if (bytes[pos] !== CR) return refuse(head, 'MR_UPSTREAM_INVALID', 'malformed status line')
        head.targetStart = pos - base
        now = state.reason
        break
      }
      case state.reason: {
        while (pos < stop && isFieldValue[bytes[pos]] === 1) pos++
        if (pos + 1 >= stop) {
          if (pos < stop && bytes[pos] !== CR)
            return refuse(head, 'MR_UPSTREAM_INVALID', 'bad byte in the reason')
          head.scanned = pos - base
          head.state = now
          if (stop === cut)
            return refuse(head, 'MR_HEAD_TOO_LARGE', `head is larger than ${limits.head} bytes`)
          return headResult.more
        }
        if (bytes[pos] !== CR || bytes[pos + 1] !== LF)
          return refuse(head, 'MR_UPSTREAM_INVALID', 'bad byte in the reason')
        head.targetEnd = pos - base
        pos += 2
        head.fieldsStart = pos - base
        now = state.line
        break
      }
      default: {
        if (bytes[pos] !== LF) return refuse(head, 'MR_BAD_REQUEST', 'bare CR at the end of the head')
        head.length = pos + 1 - base
        return headResult.done
      }
    }
  }
  head.scanned = pos - base
  head.state = now
  head.mark = mark
  if (end >= cut) return refuse(head, 'MR_HEAD_TOO_LARGE', `head is larger than ${limits.head} bytes`)
  return headResult.more
}
