/**
 * An HTTP/1.1 connection to a backend: sends requests, reads answers, strictly (RFC 9112). It carries one exchange, or, with
 * `pipelining`, several one behind the other; an answer belongs to the exchange at the head of the line, and any doubt about
 * where an answer ends is the end of the connection.
 *
 * Over 300 lines: reading an answer is one state machine, whose states share the connection's place in the stream.
 */
import { Buffer } from 'node:buffer'
import { type ErrorCode, MillraceError } from '../host/errors.ts'
import { ChunkedDecoder, type ChunkSink, trailerLines } from '../http1/chunked.ts'
import { field } from '../http1/fields.ts'
import { isBodyless, readFraming } from '../http1/framing.ts'
import { MessageHead } from '../http1/head.ts'
import { headResult } from '../http1/parse.ts'
import { hasToken } from '../http1/serialize.ts'
import { Connection, type ConnectionHandler, type Endpoint } from '../upstream/connection.ts'
import type { PoolConnection } from '../upstream/pool.ts'
import { Deadline } from './deadlines.ts'
import type { Exchange } from './exchange.ts'
import type { PlaneContext } from './plane-context.ts'
import { requestHead } from './request-head.ts'
import type { HttpBackend } from './service-runtime.ts'
import { sent, type UpstreamStream } from './stream.ts'
import { halfClosedIdleMs, tunnelIdleMs } from './tunnel.ts'

const life = { connecting: 0, idle: 1, busy: 2, tunnel: 3, closed: 4 } as const
/** Where in an answer the next byte stands. */
const reading = { head: 0, length: 1, chunked: 2, close: 3, end: 4 } as const

/** Pieces of a body up to this are copied into the string that their head is written with. */
const joinBytes = 4 * 1024
/** More than this is not held back. */
const outboxBytes = 16 * 1024
/** The backend's own idea of an idle time is cut by this, so that we close first. */
const hintMarginMs = 1000

export class Http1Upstream
  extends Deadline
  implements PoolConnection, UpstreamStream, ConnectionHandler, ChunkSink
{
  readonly #backend: HttpBackend
  readonly #plane: PlaneContext
  readonly #connection: Connection
  #life: number = life.connecting
  /** Exchanges whose answers are due, oldest first; undefined: its client has gone, the answer is dropped. */
  readonly #turns: (Exchange | undefined)[] = []
  readonly #headTurns: boolean[] = []
  #reading: number = reading.head
  #head: MessageHead | undefined = undefined
  #partial: Buffer | undefined = undefined
  #left = 0
  /** Where in the bytes of this read the current answer begins. */
  #headAt = 0
  /** A small read decoded as a whole, for one call into the platform instead of two for each answer; empty: not decoded. */
  #text = ''
  /** Where in the bytes of this read `#text` begins. */
  #textAt = 0
  #decoder: ChunkedDecoder | undefined = undefined
  #trailerNominations: readonly string[] | undefined = undefined
  #outbox = ''
  /** Exchanges at the end of the line of whose requests no byte has been written. */
  #unsent = 0
  /** Exchanges before those: their requests have been written, and they have not been told when. */
  #untold = 0
  #requestSent = true
  #chunkedRequest = false
  #reusable = true
  #served = 0
  #anyByte = false
  /** Deadlines of the exchanges it carries: of the one that was sent last, whether or not its client is still there. */
  #firstByteMs = 1
  /** How long the tunnel may be silent. */
  #tunnelMs = tunnelIdleMs
  #idleMs = 1
  #hintMs = Number.POSITIVE_INFINITY
  /** Bytes held back while a response filter makes up its mind. */
  #held: Buffer | undefined = undefined
  #holding = false
  /** Set while the reader is at work: `resume` inside it only lets it go on. */
  #inReader = false

  constructor(backend: HttpBackend, endpoint: Endpoint, connectMs: number, plane: PlaneContext) {
    super()
    this.#backend = backend
    this.#plane = plane
    plane.wheel.set(this, connectMs)
    this.#connection = new Connection(endpoint, this, plane.buffers)
  }

  // PoolConnection

  get usable(): boolean {
    return (
      (this.#life === life.idle || this.#life === life.busy) &&
      !this.#connection.gone &&
      this.#connection.connected
    )
  }

  get canShare(): boolean {
    return this.#reusable && this.#turns.length > 0 && this.#turns.length < this.#backend.pipelining
  }

  park(idleMs: number): void {
    this.#life = life.idle
    this.#plane.wheel.set(this, Math.min(idleMs, this.#hintMs))
  }

  close(): void {
    this.#connection.destroy()
  }

  // UpstreamStream

  // HOT
  sendHead(exchange: Exchange): void {
    const first = this.#turns.length === 0
    this.#life = life.busy
    this.#turns.push(exchange)
    this.#headTurns.push(exchange.method === 'HEAD')
    this.#requestSent = false
    this.#chunkedRequest = exchange.requestLength < 0
    const { timeouts } = exchange.service!.config
    this.#firstByteMs = timeouts.firstByteMs
    this.#idleMs = timeouts.idleMs
    this.#outbox += requestHead(exchange)
    this.#unsent++
    if (first) {
      this.#reading = reading.head
      this.#anyByte = false
      this.#plane.wheel.set(this, this.#firstByteMs)
    }
    if (this.#backend.pipelining > 1 && exchange.mayShare) {
      if (this.canShare) this.#backend.pool.share(this)
      else this.#backend.pool.unshare(this)
    }
  }

  sendData(bytes: Buffer, start: number, end: number): boolean {
    if (this.#life === life.closed) return true
    if (this.#life === life.tunnel) {
      this.#plane.wheel.set(this, this.#tunnelMs)
      return this.#connection.write(bytes.subarray(start, end))
    }
    if (end === start) return true
    // A head that has begun has its own deadline.
    if (this.#partial === undefined) this.#plane.wheel.set(this, this.#firstByteMs)
    const before = this.#chunkedRequest ? `${(end - start).toString(16)}\r\n` : ''
    const after = this.#chunkedRequest ? '\r\n' : ''
    if (end - start <= joinBytes) {
      this.#outbox += before + bytes.toString('latin1', start, end) + after
      // Pieces of one read leave together: a body in tiny chunks must not cost a write for each.
      if (this.#outbox.length > outboxBytes) return this.#write()
      this.#plane.turn.flushSoon(this)
      return true
    }
    const { socket } = this.#connection
    socket.cork()
    this.#outbox += before
    this.#write()
    let go = this.#connection.write(bytes.subarray(start, end))
    if (after !== '') go = this.#connection.write(after)
    socket.uncork()
    return go || !this.#connection.pending
  }

  // HOT
  /** What is held back in the outbox is a copy. */
  get unwritten(): boolean {
    return this.#connection.pending || this.#connection.gone
  }

  // HOT
  sendEnd(exchange: Exchange, trailers: MessageHead | undefined): void {
    this.#requestSent = true
    if (!this.#chunkedRequest) return
    this.#chunkedRequest = false
    this.#outbox += `0\r\n${trailers ? trailerLines(trailers, exchange.nominated) : ''}\r\n`
    this.#write()
  }

  // HOT
  /**
   * A request that is complete leaves at the end of the loop turn, behind those of other exchanges: measured, that saves 5 to
   * 9 % of the kernel's time (who waits for them is woken once), and what goes to one connection leaves in one write.
   */
  flushSoon(): void {
    if (this.#requestSent) this.#plane.turn.flushSoon(this)
    else this.#write()
  }

  // HOT
  flush(): boolean {
    return this.#write()
  }

  // HOT
  flushTurn(): void {
    this.#writeOutbox()
  }

  // HOT
  written(now: number): void {
    const turns = this.#turns
    const end = turns.length - this.#unsent
    for (let i = end - this.#untold; i < end; i++) turns[i]?.headSent(now)
    this.#untold = 0
  }

  // HOT
  #write(): boolean {
    const go = this.#writeOutbox()
    if (this.#untold > 0) this.written(this.#plane.now())
    return go
  }

  // HOT
  #writeOutbox(): boolean {
    // A reset destroys the socket before its close event comes: what is not written then stays unsent.
    if (this.#outbox === '' || this.#connection.gone) return true
    const text = this.#outbox
    this.#outbox = ''
    const go = this.#connection.write(text) || !this.#connection.pending
    this.#untold += this.#unsent
    this.#unsent = 0
    return go
  }

  /** Nothing that was held back will be written. */
  #discard(): void {
    this.#outbox = ''
    this.#unsent = 0
  }

  pause(): void {
    this.#holding = true
    // What comes meanwhile stays in the socket, and so does the end of the connection.
    this.#connection.pause()
  }

  // HOT
  resume(): void {
    this.#holding = false
    if (this.#inReader) {
      this.#connection.resume()
      return
    }
    const held = this.#held
    this.#held = undefined
    if (held) this.#read(held, held.length)
    if (!this.#holding) this.#connection.resume()
  }

  abort(exchange: Exchange): void {
    const turn = this.#turns.indexOf(exchange)
    if (turn < 0) {
      if (this.#life === life.tunnel) this.#connection.destroy()
      return
    }
    this.#turns[turn] = undefined
    if (this.#turns.length === 1 || !this.#requestSent) {
      this.#turns.length = 0
      this.#headTurns.length = 0
      this.#discard()
      // A FIN could pass for a client that has only finished sending.
      this.#connection.reset()
    } else if (turn === 0) {
      // Who held back or was slow has gone; those behind have waited for it.
      this.resume()
    }
  }

  endTunnel(): void {
    this.#tunnelMs = halfClosedIdleMs
    this.#plane.wheel.set(this, halfClosedIdleMs)
    this.#connection.end()
  }

  // ConnectionHandler

  onConnect(): void {
    this.#life = life.idle
    this.#plane.metrics.connectionOpened(this.#backend.slot)
    this.#backend.pool.opened(this)
  }

  // HOT
  onBytes(bytes: Buffer, length: number): void {
    if (this.#life === life.tunnel) {
      this.#plane.wheel.set(this, this.#tunnelMs)
      const exchange = this.#turns[0]
      if (exchange) this.#obey(exchange.upstreamData(bytes, 0, length, '') | exchange.client.flush())
      return
    }
    if (this.#turns.length === this.#unsent) {
      // http-intermediary 12: bytes that nobody asked for.
      this.#fail('MR_UPSTREAM_INVALID', 'an answer before its request')
      return
    }
    if (this.#holding) {
      this.#held = this.#held
        ? Buffer.concat([this.#held, bytes.subarray(0, length)])
        : Buffer.from(bytes.subarray(0, length))
      return
    }
    this.#read(bytes, length)
  }

  // HOT
  /** Back-pressure and buffer ownership as the client side asks for it. */
  #obey(bits: number): void {
    if (bits === sent.free) return
    if ((bits & sent.held) !== 0) this.#connection.hold()
    if ((bits & sent.wait) !== 0) this.#connection.pause()
  }

  // HOT
  #read(bytes: Buffer, length: number): void {
    let pos = 0
    this.#inReader = true
    this.#headAt = 0
    this.#text = ''
    // At most one step is taken without bytes: the end of an answer.
    while ((pos < length || this.#reading === reading.end) && this.#turns.length > 0) {
      if (this.#holding) {
        const rest = Buffer.from(bytes.subarray(pos, length))
        this.#held = rest
        this.#connection.pause()
        break
      }
      const next = this.#step(bytes, pos, length)
      if (next < 0) {
        this.#inReader = false
        this.#text = ''
        return
      }
      pos = next
    }
    this.#inReader = false
    this.#text = ''
    if (this.#turns.length === 0) {
      if (pos < length) this.#connection.destroy()
      return
    }
    this.#connection.streaming = this.#reading !== reading.head
    const exchange = this.#turns[0]
    if (exchange && this.#reading !== reading.head && this.#reading !== reading.end) {
      // The rest is waiting: it leaves together with what has come.
      if (this.#connection.filled) this.#plane.turn.flushSoon(exchange.client)
      else this.#obey(exchange.client.flush())
      const tunnel = this.#life === life.tunnel
      this.#plane.wheel.set(this, tunnel ? this.#tunnelMs : this.#idleMs)
    }
  }

  // HOT
  /** One step of reading; returns where it got to, -1 when the connection has failed. */
  #step(bytes: Buffer, pos: number, length: number): number {
    switch (this.#reading) {
      case reading.head:
        return this.#readHead(bytes, pos, length)
      case reading.length: {
        const take = Math.min(this.#left, length - pos)
        this.#left -= take
        if (this.#left === 0) this.#reading = reading.end
        this.#deliver(bytes, pos, pos + take)
        return pos + take
      }
      case reading.chunked: {
        const used = this.#decoder!.decode(bytes, pos, length, this)
        if (used < 0) return this.#fail('MR_UPSTREAM_INVALID', `chunked body: ${this.#decoder!.reason}`)
        if (this.#decoder!.done) this.#reading = reading.end
        return used
      }
      case reading.close:
        this.#deliver(bytes, pos, length)
        return length
      default:
        this.#complete(pos < length)
        return pos
    }
  }

  chunkData(bytes: Buffer, start: number, end: number): void {
    this.#deliver(bytes, start, end)
  }

  // HOT
  #deliver(bytes: Buffer, start: number, end: number): void {
    const exchange = this.#turns[0]
    if (exchange === undefined) return
    exchange.mustCopy = this.#connection.isShared(bytes)
    exchange.room = this.#connection.roomBefore(bytes, this.#headAt, start)
    const text = this.#text === '' ? '' : this.#text.slice(start - this.#textAt, end - this.#textAt)
    this.#obey(exchange.upstreamData(bytes, start, end, text))
  }

  // HOT
  #readHead(bytes: Buffer, pos: number, length: number): number {
    const exchange = this.#turns[0]
    const limits = exchange?.runtime.limits ?? this.#plane.runtime.limits
    this.#anyByte = true
    this.#headAt = pos
    let head = this.#head
    if (head === undefined) {
      head = this.#plane.takeHead()
      this.#head = head
    }
    let base = pos
    let end = length
    let source = bytes
    const before = this.#partial?.length ?? 0
    if (this.#partial !== undefined) {
      source = Buffer.concat([this.#partial, bytes.subarray(pos, length)])
      base = 0
      end = source.length
    }
    const result = this.#plane.heads.parse(head, source, base, end, false, limits)
    if (result === headResult.refused) return this.#fail('MR_UPSTREAM_INVALID', head.reason)
    if (result === headResult.more) {
      // Once, at its first byte: a backend that drips a head would set it anew for ever.
      if (this.#partial === undefined) this.#plane.wheel.set(this, this.#idleMs)
      this.#partial = Buffer.from(source.subarray(base, end))
      return length
    }
    head.text =
      source === bytes
        ? this.#decode(bytes, pos, length, head.length)
        : source.toString('latin1', base, base + head.length)
    this.#partial = undefined
    this.#head = undefined
    return this.#gotHead(head) ? pos + head.length - before : -1
  }

  // HOT
  /** Text that begins with the head at `pos`; what stands behind it does not matter there. */
  #decode(bytes: Buffer, pos: number, length: number, headLength: number): string {
    if (this.#text === '') {
      if (length - pos > joinBytes && !this.#connection.isShared(bytes))
        return bytes.toString('latin1', pos, pos + headLength)
      this.#text = bytes.toString('latin1', pos, length)
      this.#textAt = pos
    }
    return pos === this.#textAt ? this.#text : this.#text.slice(pos - this.#textAt)
  }

  // HOT
  /** False: the connection is no longer ours. */
  #gotHead(head: MessageHead): boolean {
    const exchange = this.#turns[0]
    const { status } = head
    if (status < 200) return this.#informational(head, exchange)
    if (!readFraming(head)) {
      this.#fail('MR_UPSTREAM_INVALID', head.reason)
      return false
    }
    this.#readPersistence(head)
    const bodyless = isBodyless(this.#headTurns[0] ? 'HEAD' : '', status)
    let length = head.contentLength
    if (bodyless || length === 0) {
      length = 0
      this.#reading = reading.end
    } else if (head.chunked) {
      this.#reading = reading.chunked
      const limits = this.#plane.runtime.limits
      this.#decoder = new ChunkedDecoder(limits, () => new MessageHead(limits.fields))
    } else if (length > 0) {
      this.#reading = reading.length
      this.#left = length
    } else {
      this.#reading = reading.close
      this.#reusable = false
    }
    if (exchange === undefined) {
      this.#plane.giveHead(head)
      return true
    }
    if (!this.#requestSent && this.#turns.length === 1) this.#reusable = false
    // Where a filter's promise is pending, `pause` has been called.
    exchange.upstreamHead(head, length, bodyless, this.#plane.turn.now())
    this.#trailerNominations = exchange.responseNominated
    return !this.#connection.closed && this.#turns.length > 0
  }

  // HOT
  #readPersistence(head: MessageHead): void {
    if (!head.has(field.connection)) {
      if (head.minor === 0) this.#reusable = false
    } else if (head.minor === 1 && head.onlyValueIs(field.connection, 'keep-alive')) {
      head.plainConnection = true
    } else {
      const value = head.joined(field.connection)
      if (hasToken(value, 'close') || (head.minor === 0 && !hasToken(value, 'keep-alive')))
        this.#reusable = false
    }
    if (!head.has(field.keepAlive)) return
    const hint = /(?:^|[,\s])timeout\s*=\s*"?(\d{1,6})/i.exec(head.joined(field.keepAlive))
    if (hint) {
      this.#hintMs = Number(hint[1]) * 1000 - hintMarginMs
      if (this.#hintMs <= 0) this.#reusable = false
    }
  }

  #informational(head: MessageHead, exchange: Exchange | undefined): boolean {
    if (head.status === 101) {
      const protocol = head.known(field.upgrade)?.toLowerCase()
      const wanted =
        exchange !== undefined && exchange.upgrade !== '' && exchange.upgrade.toLowerCase() === protocol
      if (!wanted || this.#turns.length > 1) {
        this.#fail('MR_UPSTREAM_INVALID', 'a 101 that nobody asked for')
        return false
      }
      this.#life = life.tunnel
      this.#reading = reading.close
      this.#plane.wheel.set(this, this.#tunnelMs)
      exchange.upstreamTunnel(head)
      return !this.#connection.closed
    }
    exchange?.upstreamInformational(head)
    this.#plane.giveHead(head)
    // An interim answer is a sign of life.
    this.#plane.wheel.set(this, this.#firstByteMs)
    return !this.#connection.closed && this.#turns.length > 0
  }

  // HOT
  /** The answer at the head of the line is whole. */
  #complete(more: boolean): void {
    const alone = this.#turns.length === 1
    const exchange = alone ? this.#turns.pop() : this.#turns.shift()
    if (alone) this.#headTurns.pop()
    else this.#headTurns.shift()
    this.#reading = reading.head
    this.#connection.streaming = false
    this.#served++
    const trailers = this.#decoder?.trailers
    this.#decoder = undefined
    const waiting = this.#turns.length > 0
    // An answer before the end of its request, or more bytes than were due: nothing after it can be trusted.
    const fit = this.#reusable && this.#requestSent && (!more || this.#turns.length > this.#unsent)
    if (exchange !== undefined) {
      exchange.upstream = undefined
      exchange.upstreamEnd(trailers, this.#trailerNominations)
    }
    if (!fit) {
      this.#anyByte = false
      if (waiting) this.#fail('MR_UPSTREAM_CLOSED', 'the backend ends the connection after an earlier answer')
      else this.#connection.destroy()
      return
    }
    if (waiting) {
      this.#anyByte = more
      this.#plane.wheel.set(this, this.#firstByteMs)
      if (this.canShare) this.#backend.pool.share(this)
      // The last client may have been slow; those behind it are not.
      this.#connection.resume()
      return
    }
    this.#connection.resume()
    if (this.#connection.closed || this.#connection.socket.destroyed) return
    this.#backend.pool.unshare(this)
    this.#backend.pool.release(this)
  }

  onEnd(): void {
    if (this.#life === life.tunnel) {
      this.#turns[0]?.upstreamTunnelEnd()
      return
    }
    if (this.#holding && this.#held) {
      // A filter still thinks about the head: the end is looked at when the socket closes. No more requests meanwhile.
      this.#reusable = false
      this.#backend.pool.unshare(this)
      this.#connection.end()
      return
    }
    if (this.#turns.length > 0 && this.#reading === reading.close) {
      this.#reading = reading.end
      this.#complete(false)
      return
    }
    if (this.#turns.length > 0) this.#fail('MR_UPSTREAM_CLOSED', 'the backend closed the connection')
    else this.#connection.destroy()
  }

  onDrain(): void {
    this.#turns[this.#turns.length - 1]?.upstreamDrain()
  }

  onClose(error: Error | undefined): void {
    const before = this.#life
    this.#life = life.closed
    this.#plane.wheel.remove(this)
    if (before === life.connecting) {
      this.#plane.metrics.connectError(this.#backend.slot)
      const cause = this.#connectTimedOut
        ? new MillraceError('MR_CONNECT_TIMEOUT', 'connect took too long')
        : error
      this.#backend.pool.failed(this, cause ?? new Error('the connection was closed'))
      return
    }
    if (before === life.tunnel) this.#turns[0]?.tunnelClosed()
    else if (this.#turns.length > 0)
      this.#fail('MR_UPSTREAM_CLOSED', error?.message ?? 'the backend closed the connection')
    this.#backend.pool.closed(this)
  }

  #connectTimedOut = false

  onDeadline(): void {
    if (this.#life === life.connecting) {
      this.#connectTimedOut = true
      this.#connection.destroy()
    } else if (this.#life === life.idle || this.#turns.length === 0) this.#connection.destroy()
    else if (this.#life === life.tunnel) this.#connection.reset()
    else if (this.#reading === reading.head)
      this.#fail('MR_FIRST_BYTE_TIMEOUT', 'the backend did not answer in time')
    else if (this.#holding || this.#connection.paused) {
      // It is the client that is slow; its own deadline decides.
      this.#plane.wheel.set(this, this.#idleMs)
    } else this.#fail('MR_UPSTREAM_IDLE', 'the backend stopped sending')
  }

  /** The exchange at the head of the line fails, those behind it are bystanders; the connection ends. Returns -1. */
  #fail(code: ErrorCode, reason: string): number {
    const turns = this.#turns.splice(0)
    const firstUnsent = turns.length - this.#unsent
    this.#headTurns.length = 0
    this.#discard()
    const silent = !this.#anyByte && this.#reading === reading.head
    const closed = code === 'MR_UPSTREAM_CLOSED'
    if (closed && firstUnsent > 1) {
      this.#backend.refusesPipelining = true
      this.#backend.pipelining = 1
    }
    const stale = closed && silent && this.#served > 0
    if (this.#life !== life.closed) this.#connection.destroy()
    for (let i = 0; i < turns.length; i++) {
      const exchange = turns[i]
      if (exchange === undefined) continue
      exchange.upstreamFailed({
        code,
        reason,
        unsent: i >= firstUnsent,
        stale: i === 0 && stale,
        silent: i > 0 || (closed && silent),
        bystander: i > 0 || i >= firstUnsent,
      })
    }
    if (this.#head) this.#plane.giveHead(this.#head)
    this.#head = undefined
    return -1
  }
}
