/** Our parser as the fuzz sees it: bytes in, messages out, composed from core/http1 as the listener does. */
import { ChunkedDecoder } from '#core/http1/chunked'
import { readFraming } from '#core/http1/framing'
import { MessageHead } from '#core/http1/head'
import { type HeadLimits, headResult } from '#core/http1/parse'
import { HeadScanner } from '#core/http1/scan'
import { isOriginForm, parseAbsolute } from '#core/http1/target'

/** A message as a reader understood it; compared as JSON. */
export interface ReadMessage {
  readonly method: string
  readonly target: string
  readonly minor: number
  readonly fields: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

export interface OurReading {
  readonly status: 'accepted' | 'refused' | 'incomplete'
  readonly message: ReadMessage | undefined
  /** Bytes of the message, with an empty line before it, where accepted. */
  readonly length: number
  readonly reason: string
}

export interface OurReader {
  /** Reads one request from the start of `bytes`, given in pieces that end at `cuts`. */
  read(bytes: Buffer, cuts: readonly number[]): OurReading
}

const maxFields = 100
const limits: HeadLimits = { head: 16_384, fields: maxFields, target: 8_192 }

function fieldList(head: MessageHead): string[] {
  const list: string[] = []
  for (let i = 0; i < head.count; i++) list.push(head.name(i), head.value(i))
  return list
}

function refused(reason: string): OurReading {
  return { status: 'refused', message: undefined, length: 0, reason }
}

const incomplete: OurReading = { status: 'incomplete', message: undefined, length: 0, reason: '' }

/** The end of the head, or a reading that says why there is none. */
function readHead(
  scanner: HeadScanner,
  head: MessageHead,
  bytes: Buffer,
  base: number,
  stops: readonly number[],
): OurReading | undefined {
  let result: number = headResult.more
  for (const stop of stops) {
    result = scanner.parse(head, bytes, base, stop, true, limits)
    if (result !== headResult.more) break
  }
  if (result === headResult.refused) return refused(head.reason)
  if (result === headResult.more) return incomplete
  head.text = bytes.toString('latin1', base, base + head.length)
  if (!readFraming(head)) return refused(head.reason)
  return isTargetForm(head.method, head.target) ? undefined : refused('target form')
}

/** RFC 9112 §3.2 without CONNECT. */
function isTargetForm(method: string, target: string): boolean {
  if (target === '*') return method === 'OPTIONS'
  return isOriginForm(target) || parseAbsolute(target) !== undefined
}

export function ourReader(): OurReader {
  const scanner = new HeadScanner(0)
  return {
    read(bytes, cuts) {
      const stops = [...cuts.filter((cut) => cut < bytes.length), bytes.length]
      // One empty line before a request line is skipped by the listener (RFC 9112 §2.2).
      const base = bytes.length > 1 && bytes[0] === 13 && bytes[1] === 10 ? 2 : 0
      const head = new MessageHead(maxFields)
      const failed = readHead(scanner, head, bytes, base, stops)
      if (failed !== undefined) return failed
      let end = base + head.length
      let body = ''
      let trailers: string[] = []
      if (head.contentLength > 0) {
        if (bytes.length - end < head.contentLength) return incomplete
        body = bytes.toString('latin1', end, end + head.contentLength)
        end += head.contentLength
      } else if (head.chunked) {
        const decoder = new ChunkedDecoder(limits, () => new MessageHead(maxFields))
        const sink = {
          chunkData(from: Buffer, start: number, stop: number) {
            body += from.toString('latin1', start, stop)
          },
        }
        for (const stop of stops) {
          if (stop <= end || decoder.done) continue
          end = decoder.decode(bytes, end, stop, sink)
          if (end < 0) return refused(decoder.reason)
        }
        if (!decoder.done) return incomplete
        if (decoder.trailers !== undefined) trailers = fieldList(decoder.trailers)
      }
      const { method, target, minor } = head
      return {
        status: 'accepted',
        message: { method, target, minor, fields: fieldList(head), body, trailers },
        length: end,
        reason: '',
      }
    },
  }
}
