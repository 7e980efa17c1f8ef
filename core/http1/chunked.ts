/** The chunked coding (RFC 9112 §7.1): a strict decoder that takes input in any pieces, and the encoder's strings. */

import { field } from './fields.ts'
import { type MessageHead, stride } from './head.ts'
import { type HeadLimits, headResult, parseHead } from './parse.ts'
import { hexValue, isFieldValue, isToken } from './tables.ts'

/** Where the decoder's findings go. Ranges are of the bytes given to `decode`. */
export interface ChunkSink {
  /** A run of body bytes. False: stop here for now (`decode` returns what it has used). */
  chunkData(bytes: Buffer, start: number, end: number): void
}

const state = {
  size: 0,
  extName: 1,
  extValue: 2,
  extQuoted: 3,
  extEscape: 4,
  extEnd: 5,
  sizeEnd: 6,
  data: 7,
  dataEnd: 8,
  dataEndLf: 9,
  trailers: 10,
  done: 11,
} as const

/** Bytes of extensions allowed in one message: they carry nothing that we use (RFC 9112 §7.1.1 asks for a limit). */
const maxExtension = 1024
/** 2^53 has 14 hex digits; leading zeros are let pass up to this many digits in all. */
const maxDigits = 16

export class ChunkedDecoder {
  #state = state.size as number
  #left = 0
  #digits = 0
  #extension = 0
  /** Length of the extension's name or value so far. */
  #token = 0
  /** Collected bytes of a trailer section that came in pieces. */
  #pending: Buffer | undefined
  /** After `done`: the trailer fields; undefined when there were none. */
  trailers: MessageHead | undefined
  readonly #limits: HeadLimits
  readonly #makeHead: () => MessageHead
  reason = ''

  constructor(limits: HeadLimits, makeHead: () => MessageHead) {
    this.#limits = limits
    this.#makeHead = makeHead
  }

  get done(): boolean {
    return this.#state === state.done
  }

  #fail(reason: string): number {
    this.reason = reason
    return -1
  }

  /**
   * Over 60 lines: one state machine; its cases share `pos`.
   *
   * HOT Decodes [from, end). Returns the offset after the last byte used: `end`, or less when the message ended before
   * it; -1 when the coding is broken (`reason` says how).
   */
  decode(bytes: Buffer, from: number, end: number, sink: ChunkSink): number {
    let pos = from
    while (pos < end) {
      const byte = bytes[pos]
      switch (this.#state) {
        case state.size: {
          const value = hexValue[byte]
          if (value !== 255) {
            if (++this.#digits > maxDigits) return this.#fail('chunk size has too many digits')
            this.#left = this.#left * 16 + value
            if (this.#left > Number.MAX_SAFE_INTEGER) return this.#fail('chunk size is too large')
            pos++
            break
          }
          if (this.#digits === 0) return this.#fail('chunk size is missing')
          if (byte === 13) this.#state = state.sizeEnd
          else if (byte === 59) this.#beginExtension()
          else return this.#fail('bad byte in a chunk size')
          pos++
          break
        }
        case state.extName:
        case state.extValue:
        case state.extQuoted:
        case state.extEscape:
        case state.extEnd: {
          if (++this.#extension > maxExtension) return this.#fail('chunk extensions are too long')
          const next = this.#extensionStep(byte)
          if (next < 0) return this.#fail('malformed chunk extension')
          this.#state = next
          pos++
          break
        }
        case state.sizeEnd: {
          if (byte !== 10) return this.#fail('bare CR after a chunk size')
          pos++
          this.#digits = 0
          this.#state = this.#left === 0 ? state.trailers : state.data
          break
        }
        case state.data: {
          const take = Math.min(this.#left, end - pos)
          sink.chunkData(bytes, pos, pos + take)
          pos += take
          this.#left -= take
          if (this.#left === 0) this.#state = state.dataEnd
          break
        }
        case state.dataEnd: {
          if (byte !== 13) return this.#fail('no CRLF after chunk data')
          pos++
          this.#state = state.dataEndLf
          break
        }
        case state.dataEndLf: {
          if (byte !== 10) return this.#fail('no CRLF after chunk data')
          pos++
          this.#state = state.size
          break
        }
        case state.trailers:
          return this.#trailer(bytes, pos, end)
        default:
          return pos
      }
    }
    return pos
  }

  #beginExtension(): void {
    this.#state = state.extName
    this.#token = 0
  }

  /** RFC 9112 §7.1.1 without its bad white space: the state after this byte, -1 when it may not stand here. */
  #extensionStep(byte: number): number {
    switch (this.#state) {
      case state.extName:
      case state.extValue:
        if (isToken[byte] === 1) {
          this.#token++
          return this.#state
        }
        if (byte === 34 && this.#state === state.extValue && this.#token === 0) return state.extQuoted
        if (this.#token === 0) return -1
        if (byte === 61 && this.#state === state.extName) {
          this.#token = 0
          return state.extValue
        }
        return this.#extensionEnd(byte)
      case state.extQuoted:
        if (byte === 34) return state.extEnd
        if (byte === 92) return state.extEscape
        return isFieldValue[byte] === 1 ? state.extQuoted : -1
      case state.extEscape:
        return isFieldValue[byte] === 1 ? state.extQuoted : -1
      default:
        return this.#extensionEnd(byte)
    }
  }

  #extensionEnd(byte: number): number {
    if (byte === 13) return state.sizeEnd
    if (byte !== 59) return -1
    this.#token = 0
    return state.extName
  }

  #trailer(bytes: Buffer, from: number, end: number): number {
    // The usual end, "\r\n" at once, makes no objects.
    if (!this.trailers && bytes[from] === 13 && from + 1 < end && bytes[from + 1] === 10) {
      this.#state = state.done
      return from + 2
    }
    const head = this.trailers ?? startTrailers(this.#makeHead())
    this.trailers = head
    const held = this.#pending?.length ?? 0
    const joined = this.#pending ? Buffer.concat([this.#pending, bytes.subarray(from, end)]) : bytes
    const base = this.#pending ? 0 : from
    const result = parseHead(head, joined, base, this.#pending ? joined.length : end, true, this.#limits)
    if (result === headResult.refused) return this.#fail(`trailers: ${head.reason}`)
    if (result === headResult.more) {
      this.#pending = Buffer.from(joined.subarray(base, this.#pending ? joined.length : end))
      return end
    }
    head.text = joined.toString('latin1', base, base + head.length)
    this.#pending = undefined
    this.#state = state.done
    const forbidden = (1 << field.contentLength) | (1 << field.transferEncoding) | (1 << field.host)
    if ((head.seen & forbidden) !== 0)
      return this.#fail('Content-Length, Transfer-Encoding or Host in trailers')
    if (head.count === 0) this.trailers = undefined
    return from + head.length - held
  }
}

/** A trailer section is a head without a start line: the parser enters at its field lines. */
function startTrailers(head: MessageHead): MessageHead {
  head.reset()
  head.state = 4
  return head
}

/** Field names that may not be sent as trailers (RFC 9110 §6.5.1): framing, routing, authentication, content format. */
const forbiddenTrailers = new Set([
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'max-forwards',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'www-authenticate',
])

/** Trailer lines to pass on: `nominated` are the names that the message's Connection listed. Each line ends in CRLF. */
export function trailerLines(trailers: MessageHead, nominated: readonly string[] | undefined): string {
  let lines = ''
  for (let i = 0; i < trailers.count; i++) {
    const name = trailers.name(i).toLowerCase()
    if (forbiddenTrailers.has(name) || nominated?.includes(name)) continue
    const at = i * stride
    lines += `${trailers.text.slice(trailers.at[at], trailers.at[at + 1])}: ${trailers.value(i)}\r\n`
  }
  return lines
}
