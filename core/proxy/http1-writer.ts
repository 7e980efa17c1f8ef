/** Writes answers to an HTTP/1.1 client: head and small body in one string, large bodies in place, chunked where the
 * length is unknown. Small pieces of one loop turn leave together. */
import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import { trailerLines } from '../http1/chunked.ts'
import { field } from '../http1/fields.ts'
import type { MessageHead } from '../http1/head.ts'
import { keptFields, nominatedNames } from '../http1/serialize.ts'
import type { Exchange } from './exchange.ts'
import { framing, responseHead, statusLine } from './response-head.ts'
import { sent } from './stream.ts'

/** Pieces up to this are copied into the outgoing string; larger ones are written from where they are, if they may stay. */
const joinBytes = 4 * 1024
/** More than this is not held back. */
const outboxBytes = 32 * 1024

function cut(bytes: Buffer, start: number, end: number): Buffer {
  return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
}

export class Http1Writer {
  readonly #socket: Socket
  #outbox = ''
  #how: number = framing.none
  #exchange: Exchange | undefined = undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setDefaultEncoding('latin1')
  }

  /** False: the client is behind, and a drain event will come. */
  informational(head: MessageHead): boolean {
    const reason = head.text.slice(head.targetStart, head.targetEnd)
    const fields = keptFields(head, 1 << field.contentLength, nominatedNames(head))
    return this.#socket.write(`HTTP/1.1 ${head.status} ${reason}\r\n${fields}\r\n`, 'latin1')
  }

  /** 101 and what its fields say; Connection and Upgrade are ours to send on. */
  switching(exchange: Exchange, head: MessageHead): void {
    this.#exchange = exchange
    const fields = keptFields(head, 1 << field.contentLength, nominatedNames(head))
    this.#outbox += `${statusLine(101)}Connection: Upgrade\r\nUpgrade: ${exchange.upgrade}\r\n${fields}\r\n`
    this.#how = framing.close
    this.flush()
  }

  /** How the body's end will be told. */
  plan(exchange: Exchange, minor: number): number {
    if (exchange.bodyless) return framing.none
    if (exchange.responseLength >= 0) return framing.length
    return minor === 1 ? framing.chunked : framing.close
  }

  // HOT
  head(exchange: Exchange, how: number, connection: string): void {
    this.#how = how
    this.#exchange = exchange
    this.#outbox += responseHead(exchange, how, connection)
  }

  // HOT
  /** Returns `sent` bits. `known`: the same bytes as latin1, or empty. */
  data(bytes: Buffer, start: number, end: number, known: string): number {
    const length = end - start
    if (length === 0 || this.#how === framing.none) return sent.free
    const isChunked = this.#how === framing.chunked
    if (length <= joinBytes || this.#exchange?.mustCopy === true) {
      const text = known === '' ? bytes.toString('latin1', start, end) : known
      this.#outbox += isChunked ? `${length.toString(16)}\r\n${text}\r\n` : text
      return this.#outbox.length > outboxBytes ? this.flush() : sent.free
    }
    const socket = this.#socket
    if (isChunked) this.#outbox += `${length.toString(16)}\r\n`
    let go: boolean
    const before = this.#outbox.length
    if (before === 0 && !isChunked) go = socket.write(cut(bytes, start, end))
    else if (!isChunked && before <= (this.#exchange?.room ?? 0)) {
      const joined = Buffer.from(bytes.buffer, bytes.byteOffset + start - before, before + length)
      joined.write(this.#outbox, 0, before, 'latin1')
      this.#outbox = ''
      go = socket.write(joined)
    } else {
      socket.cork()
      socket.write(this.#outbox)
      this.#outbox = ''
      go = socket.write(cut(bytes, start, end))
      if (isChunked) go = socket.write('\r\n')
      socket.uncork()
    }
    this.#mark()
    if (socket.writableLength === 0) return sent.free
    return go ? sent.held : sent.held | sent.wait
  }

  // HOT
  /** As `end`, without writing. False: nothing is held back, and nothing was done. */
  endSoon(trailers: MessageHead | undefined, nominated: readonly string[] | undefined): boolean {
    if (this.#outbox === '') return false
    this.#close(trailers, nominated)
    return true
  }

  // HOT
  end(trailers: MessageHead | undefined, nominated: readonly string[] | undefined): void {
    this.#close(trailers, nominated)
    this.flush()
  }

  // HOT
  #close(trailers: MessageHead | undefined, nominated: readonly string[] | undefined): void {
    if (this.#how === framing.chunked)
      this.#outbox += `0\r\n${trailers ? trailerLines(trailers, nominated) : ''}\r\n`
    this.#exchange = undefined
  }

  // HOT
  flush(): number {
    if (this.#outbox === '') return sent.free
    const text = this.#outbox
    this.#outbox = ''
    if (this.#socket.destroyed) return sent.free
    const go = this.#socket.write(text)
    this.#mark()
    return go || this.#socket.writableLength === 0 ? sent.free : sent.wait
  }

  // HOT
  /** Notes the time of the first write of a streamed answer. */
  #mark(): void {
    const exchange = this.#exchange
    if (exchange === undefined || exchange.clientWriteMs > 0) return
    exchange.clientWriteMs = exchange.plane.now()
  }

  discard(): void {
    this.#exchange = undefined
    this.#outbox = ''
  }
}
