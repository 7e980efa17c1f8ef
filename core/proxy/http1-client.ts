/**
 * An HTTP/1.1 connection of a client: reads requests one after the other, hands each to an exchange, writes its answer
 * (RFC 9112 §9). What a client pipelines waits in `#rest` until its turn.
 *
 * Over 300 lines: it is the state machine of one connection, whose parts (reading, body, closing) share its few fields.
 */
import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type ErrorCode, errorTable, statusOf } from '../host/errors.ts'
import { ChunkedDecoder, type ChunkSink } from '../http1/chunked.ts'
import { field } from '../http1/fields.ts'
import { flat } from '../http1/flat.ts'
import { MessageHead } from '../http1/head.ts'
import { headResult } from '../http1/parse.ts'
import { hasToken } from '../http1/serialize.ts'
import { Deadline } from './deadlines.ts'
import type { Exchange } from './exchange.ts'
import { appendedLines, forwardingLines, originalAddress } from './forwarded.ts'
import { giveBack, ownsMemory } from './give-back.ts'
import { Http1Writer } from './http1-writer.ts'
import { answerMaxForwards } from './max-forwards.ts'
import type { PlaneContext } from './plane-context.ts'
import { type CheckedRequest, checkRequest } from './request-check.ts'
import { framing, statusLine } from './response-head.ts'
import { type ClientStream, sent } from './stream.ts'
import { halfClosedIdleMs, tunnelIdleMs } from './tunnel.ts'

const life = { open: 0, tunnel: 1, lingering: 2, closed: 3 } as const
const body = { none: 0, length: 1, chunked: 2 } as const
/** What the one deadline of the connection means. */
const waits = { nothing: 0, head: 1, idle: 2, body: 3, write: 4, linger: 5 } as const

/** http-intermediary 17. */
const lingerMs = 2000
const lingerBytes = 256 * 1024
/** Bytes of later requests that are read ahead; more stay in the socket. */
const aheadBytes = 64 * 1024

export interface ClientHost {
  readonly name: string
  /** Takes no new requests: answers say so. */
  readonly closing: boolean
  closed(client: Http1Client): void
}

export class Http1Client extends Deadline implements ClientStream, ChunkSink {
  readonly scheme: 'http' | 'https'
  readonly #socket: Socket
  /** What the socket runs over: itself, or the TCP socket under TLS. */
  readonly #transport: Socket
  readonly #plane: PlaneContext
  readonly #host: ClientHost
  readonly #writer: Http1Writer
  readonly #checked: CheckedRequest
  /** Address of the peer, or what the PROXY protocol says. */
  readonly #peer: string
  #address = ''
  #life: number = life.open
  #waits: number = waits.nothing
  #exchange: Exchange | undefined = undefined
  #head: MessageHead | undefined = undefined
  #partial: Buffer | undefined = undefined
  #rest: Buffer | undefined = undefined
  #body: number = body.none
  #bodyLeft = 0
  #bodyPaused = false
  #bodyFull = false
  #bodyStartMs = 0
  #bodyBytes = 0
  #decoder: ChunkedDecoder | undefined = undefined
  #expects = false
  #minor = 1
  #keepAlive = true
  #halfClosed = false
  /** How long a tunnel may be silent. */
  #tunnelMs = tunnelIdleMs
  #inLoop = false
  /** The answer is complete, and its last bytes leave at the end of this loop turn. */
  #ending = false
  /** It has not read the answers so far: no more of its requests are taken until they have left. */
  #full = false
  #lingered = 0
  /** The one empty line before a request line has been let pass. */
  #skipped = false
  /** Forwarding lines of the last Host: most requests of a connection name the same. */
  #linesHost: string | undefined = undefined
  #linesMinor = 1
  #lines = ''

  constructor(
    sockets: { readonly socket: Socket; readonly transport: Socket },
    peer: string,
    scheme: 'http' | 'https',
    host: ClientHost,
    plane: PlaneContext,
    checked: CheckedRequest,
  ) {
    const { socket } = sockets
    super()
    this.#socket = socket
    this.#transport = sockets.transport
    this.#peer = peer
    this.#address = peer
    this.scheme = scheme
    this.#host = host
    this.#plane = plane
    this.#checked = checked
    this.#writer = new Http1Writer(socket)
    this.#arm(waits.head, plane.runtime.limits.headTimeoutMs)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.push = (chunk: Buffer | null): boolean => this.#pushed(chunk)
    socket.on('end', () => this.#onEnd())
    socket.on('drain', () => this.#onDrain())
    socket.on('error', () => {})
    socket.on('close', () => this.#onClose())
  }

  get listener(): string {
    return this.#host.name
  }

  get address(): string {
    return this.#address
  }

  get gone(): boolean {
    return this.#life === life.closed || this.#socket.destroyed
  }

  get minorVersion(): number {
    return this.#minor
  }

  get idle(): boolean {
    return this.#exchange === undefined && this.#partial === undefined && this.#life === life.open
  }

  /** Ends the connection if nothing is under way on it. */
  closeIfIdle(): void {
    if (this.idle && this.#rest === undefined) this.#linger()
  }

  destroy(): void {
    // An answer that is complete is not lost with the connection.
    if (this.#ending) this.#writer.flush()
    this.#socket.destroy()
  }

  #arm(what: number, ms: number): void {
    this.#waits = what
    this.#plane.wheel.set(this, ms)
  }

  // Reading.

  // HOT
  /**
   * Takes bytes straight from the socket's source while they flow. The way through the stream's own buffer ends in the
   * same `#onData`, but schedules a tick for each read.
   */
  #pushed(chunk: Buffer | null): boolean {
    const socket = this.#socket
    if (chunk === null || socket.readableLength > 0 || socket.readableFlowing !== true)
      return Readable.prototype.push.call(socket, chunk)
    this.#onData(chunk)
    return true
  }

  // HOT
  #onData(chunk: Buffer): void {
    if (this.#life === life.lingering) {
      this.#lingered += chunk.length
      if (this.#lingered > lingerBytes) this.#socket.destroy()
      return
    }
    if (this.#life === life.tunnel) {
      this.#arm(waits.idle, this.#tunnelMs)
      const { upstream } = this.#exchange ?? {}
      if (this.#exchange?.clientData(chunk, 0, chunk.length) === false) this.#socket.pause()
      else if (upstream?.unwritten === false && ownsMemory(chunk)) giveBack(chunk)
      return
    }
    if (this.#rest !== undefined) {
      this.#rest = Buffer.concat([this.#rest, chunk])
      if (this.#rest.length > aheadBytes) this.#socket.pause()
      return
    }
    this.#process(chunk)
  }

  // HOT
  /** Goes through bytes until they end or somebody has to be waited for. */
  #process(bytes: Buffer): void {
    let pos = 0
    this.#inLoop = true
    while (pos < bytes.length && this.#life === life.open && !this.#full) {
      if (this.#exchange === undefined) pos = this.#readHead(bytes, pos)
      else if (this.#body !== body.none && !this.#bodyPaused) pos = this.#readBody(bytes, pos)
      else break
      if (pos < 0) break
    }
    this.#inLoop = false
    if (pos >= 0 && pos < bytes.length && this.#life === life.open) {
      this.#rest = pos === 0 ? bytes : bytes.subarray(pos)
      if (this.#body !== body.none || this.#rest.length > aheadBytes) this.#socket.pause()
    } else if (this.#life === life.tunnel && pos >= 0 && pos < bytes.length) {
      this.#exchange?.clientData(bytes, pos, bytes.length)
    }
    if (this.#bodyPaused && this.#body !== body.none) this.#socket.pause()
    if (this.#halfClosed && this.#rest === undefined) this.#onEnd()
  }

  // HOT
  #readHead(bytes: Buffer, from: number): number {
    let pos = from
    let head = this.#head
    if (head === undefined) {
      // RFC 9112 §2.2: one empty line before a request line.
      if (bytes[pos] === 13 && this.#partial === undefined && !this.#skipped) {
        if (pos + 1 === bytes.length) return this.#keepPartial(bytes, pos)
        if (bytes[pos + 1] === 10) {
          pos += 2
          this.#skipped = true
        }
        if (pos === bytes.length) return pos
      }
      head = this.#plane.takeHead()
      this.#head = head
    }
    let source = bytes
    let base = pos
    const before = this.#partial?.length ?? 0
    if (this.#partial !== undefined) {
      source = Buffer.concat([this.#partial, bytes.subarray(pos)])
      base = 0
      if (head.scanned === 0 && !this.#skipped && source[0] === 13 && source[1] === 10) {
        base = 2
        this.#skipped = true
      }
    }
    const result = this.#plane.heads.parse(
      head,
      source,
      base,
      source.length,
      true,
      this.#plane.runtime.limits,
    )
    if (result === headResult.done) {
      head.text = source.toString('latin1', base, base + head.length)
      this.#partial = undefined
      this.#head = undefined
      this.#begin(head)
      return pos + base - (source === bytes ? pos : 0) + head.length - before
    }
    if (result === headResult.refused) {
      this.#head = undefined
      this.#refuse(head.error!, head.reason, head)
      return -1
    }
    if (this.#partial === undefined) this.#arm(waits.head, this.#plane.runtime.limits.headTimeoutMs)
    this.#partial = Buffer.from(source.subarray(base))
    return bytes.length
  }

  #keepPartial(bytes: Buffer, pos: number): number {
    this.#arm(waits.head, this.#plane.runtime.limits.headTimeoutMs)
    this.#partial = Buffer.from(bytes.subarray(pos))
    return bytes.length
  }

  // HOT
  /** A whole head has come. */
  #begin(head: MessageHead): void {
    const plane = this.#plane
    const now = plane.turn.now()
    const checked = this.#checked
    const limits = plane.runtime.limits
    this.#minor = head.minor
    this.#skipped = false
    if (!checkRequest(head, limits.body, checked)) {
      this.#refuse(checked.error!, checked.reason, head)
      return
    }
    plane.wheel.clear(this)
    this.#waits = waits.nothing
    this.#keepAlive = this.#wantsKeepAlive(head)
    this.#expects = checked.expectsContinue
    const exchange = plane.newExchange()
    this.#exchange = exchange
    exchange.startLineKept = head.minor === 1 && !checked.targetReplaced
    exchange.hostReplaced = checked.hostReplaced
    exchange.expectAnswered = head.minor === 0
    if (plane.runtime.trusted.has(this.#peer)) this.#believe(head)
    if (checked.length !== 0) this.#startBody(checked.length)
    if (head.has(field.maxForwards) && answerMaxForwards(exchange, this, head, checked, now)) return
    exchange.begin(this, head, checked, now)
  }

  #wantsKeepAlive(head: MessageHead): boolean {
    if (!head.has(field.connection)) return head.minor === 1
    if (head.onlyValueIs(field.connection, 'keep-alive')) {
      head.plainConnection = true
      return true
    }
    const value = head.joined(field.connection)
    if (hasToken(value, 'close')) return false
    return head.minor === 1 || hasToken(value, 'keep-alive')
  }

  /** A trusted proxy speaks for its client. */
  #believe(head: MessageHead): void {
    this.#linesHost = undefined
    this.#address = originalAddress(this.#peer, head, this.#plane.runtime.trusted)
  }

  #startBody(length: number): void {
    this.#body = length < 0 ? body.chunked : body.length
    this.#bodyLeft = length
    this.#bodyPaused = true
    this.#bodyBytes = 0
    this.#bodyStartMs = 0
    const limits = this.#plane.runtime.limits
    this.#decoder = length < 0 ? new ChunkedDecoder(limits, () => new MessageHead(limits.fields)) : undefined
  }

  #readBody(bytes: Buffer, pos: number): number {
    const exchange = this.#exchange!
    if (!this.#fastEnough(bytes.length - pos)) {
      exchange.fail('MR_REQUEST_TIMEOUT')
      return -1
    }
    this.#bodyFull = false
    const passing = ownsMemory(bytes) && exchange.bodyPasses ? exchange.upstream : undefined
    let used: number
    if (this.#body === body.length) {
      used = Math.min(bytes.length, pos + this.#bodyLeft)
      this.#bodyLeft -= used - pos
      if (!exchange.clientData(bytes, pos, used)) this.#bodyFull = true
    } else {
      used = this.#decoder!.decode(bytes, pos, bytes.length, this)
      if (used < 0) {
        exchange.fail('MR_BAD_REQUEST', `chunked body: ${this.#decoder?.reason}`)
        return -1
      }
    }
    if (exchange.upstream?.flush() === false) this.#bodyFull = true
    // The exchange may have ended meanwhile, and the connection with it.
    if (this.#exchange !== exchange || this.#life !== life.open) return -1
    if (this.#body === body.length ? this.#bodyLeft === 0 : this.#decoder!.done) this.#bodyEnd(exchange)
    else if (this.#bodyFull) this.pauseBody()
    if (passing?.unwritten === false && used === bytes.length && exchange.upstream === passing)
      giveBack(bytes)
    return used
  }

  chunkData(bytes: Buffer, start: number, end: number): void {
    if (this.#exchange?.clientData(bytes, start, end) === false) this.#bodyFull = true
  }

  #bodyEnd(exchange: Exchange): void {
    const trailers = this.#decoder?.trailers
    this.#body = body.none
    this.#bodyPaused = false
    this.#decoder = undefined
    this.#plane.wheel.clear(this)
    this.#waits = waits.nothing
    exchange.clientEnd(trailers)
    exchange.upstream?.flush()
  }

  /** RFC-less, but every server needs it: a body must keep a minimum rate once it has had its time. */
  #fastEnough(length: number): boolean {
    const limits = this.#plane.runtime.limits
    const now = this.#plane.now()
    if (this.#bodyStartMs === 0) this.#bodyStartMs = now
    this.#bodyBytes += length
    this.#arm(waits.body, limits.bodyIdleMs)
    const elapsed = now - this.#bodyStartMs
    return (
      limits.bodyMinRate === 0 ||
      elapsed <= limits.bodyIdleMs ||
      this.#bodyBytes * 1000 >= limits.bodyMinRate * elapsed
    )
  }

  resumeBody(): void {
    if (this.#life === life.tunnel) {
      this.#socket.resume()
      return
    }
    if (this.#body === body.none || !this.#bodyPaused) return
    this.#bodyPaused = false
    // Time during which we did not read is not the client's.
    this.#bodyStartMs = 0
    this.#bodyBytes = 0
    this.#arm(waits.body, this.#plane.runtime.limits.bodyIdleMs)
    if (!this.#inLoop) this.#continue()
  }

  pauseBody(): void {
    if (this.#body === body.none) return
    this.#bodyPaused = true
    this.#plane.wheel.clear(this)
    this.#socket.pause()
  }

  /** Takes up what was read ahead. */
  #continue(): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) this.#process(rest)
    if (this.#rest === undefined && !(this.#body !== body.none && this.#bodyPaused) && !this.gone)
      this.#socket.resume()
  }

  askForBody(): void {
    if (!this.#expects) return
    this.#expects = false
    this.#exchange!.expectAnswered = true
    if (this.#rest === undefined) this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')
  }

  // The answer.

  // HOT
  forwardingLines(host: string): string {
    const { trusted } = this.#plane.runtime
    if (trusted.has(this.#peer)) return appendedLines(this.#peer, this.scheme, host, this.#exchange!.head)
    if (host !== this.#linesHost || this.#minor !== this.#linesMinor) {
      this.#linesHost = host
      this.#linesMinor = this.#minor
      this.#lines = flat(forwardingLines(this.#peer, this.scheme, host, this.#minor))
    }
    return this.#lines
  }

  sendInformational(head: MessageHead): void {
    if (this.gone) return
    // Only hints, so while the client does not read they are dropped: pausing the backend would hold up the final answer, and
    // with it the exchange. Not so the 100 that a client waits for, which comes once.
    const awaited = this.#expects && head.status === 100
    if (this.#socket.writableNeedDrain && !awaited) return
    if (awaited) this.#expects = false
    if (!this.#writer.informational(head)) this.#stalled()
  }

  // HOT
  sendHead(exchange: Exchange): void {
    const how = this.#writer.plan(exchange, this.#minor)
    const open = !this.#halfClosed || this.#rest !== undefined
    if (
      this.#plane.draining ||
      this.#host.closing ||
      this.#body !== body.none ||
      how === framing.close ||
      !open
    )
      this.#keepAlive = false
    const connection = this.#keepAlive
      ? this.#minor === 0
        ? 'Connection: keep-alive\r\n'
        : ''
      : 'Connection: close\r\n'
    this.#writer.head(exchange, how, connection)
  }

  // HOT
  sendData(bytes: Buffer, start: number, end: number, text: string): number {
    const bits = this.#writer.data(bytes, start, end, text)
    // Only then a drain event comes, which ends the wait.
    if ((bits & sent.wait) !== 0) this.#stalled()
    return bits
  }

  // HOT
  flush(): number {
    const bits = this.#writer.flush()
    if (bits !== sent.free) this.#stalled()
    return bits
  }

  #stalled(): void {
    this.#arm(waits.write, this.#plane.runtime.limits.writeStallMs)
  }

  // HOT
  endSoon(trailers: MessageHead | undefined, nominated: readonly string[] | undefined): boolean {
    if (!this.#writer.endSoon(trailers, nominated)) return false
    this.#ending = true
    this.#plane.turn.flushSoon(this)
    return true
  }

  // HOT
  flushTurn(): void {
    this.flush()
  }

  // HOT
  written(now: number): void {
    if (!this.#ending) return
    if (this.gone) this.#exchange!.clientAbort()
    else this.#exchange!.answerSent(now)
  }

  // HOT
  sendEnd(trailers: MessageHead | undefined, nominated: readonly string[] | undefined): void {
    this.#writer.end(trailers, nominated)
  }

  /** The answer is not whole, and the client must see that: a reset where the transport has one. */
  abort(): void {
    this.#writer.discard()
    if (this.gone) return
    // Unix sockets have no reset: asking for one throws.
    // Nor is there one after a FIN: libuv refuses it, and the socket would never close.
    const resets = this.#transport.remoteAddress !== undefined && !this.#transport.writableEnded
    if (resets) this.#transport.resetAndDestroy()
    this.#socket.destroy()
  }

  startTunnel(exchange: Exchange): void {
    this.#life = life.tunnel
    this.#keepAlive = false
    this.#arm(waits.idle, this.#tunnelMs)
    this.#writer.switching(exchange, exchange.responseHead!)
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) exchange.clientData(rest, 0, rest.length)
    this.#socket.resume()
  }

  endTunnel(): void {
    this.#tunnelMs = halfClosedIdleMs
    this.#arm(waits.idle, halfClosedIdleMs)
    this.#writer.flush()
    if (!this.gone) this.#socket.end()
  }

  // HOT
  finished(): void {
    const exchange = this.#exchange!
    const tunnel = this.#life === life.tunnel
    this.#exchange = undefined
    this.#ending = false
    this.#plane.giveExchange(exchange)
    if (this.#life === life.closed) return
    if (this.#socket.destroyed) return
    if (!this.#keepAlive || this.#body !== body.none || tunnel) {
      this.#linger()
      return
    }
    if (this.#socket.writableNeedDrain) {
      this.#full = true
      this.#stalled()
      this.#socket.pause()
      return
    }
    this.#next()
  }

  // HOT
  /** Ready for the next request. */
  #next(): void {
    this.#arm(waits.idle, this.#plane.runtime.limits.keepAliveMs)
    if (this.#inLoop) return
    if (this.#rest !== undefined) this.#continue()
    // A listener that closes has looked for idle connections once; this one was not yet.
    else if (this.#halfClosed || this.#host.closing) this.#linger()
  }

  // Ends.

  /** Half-closes, lets the client see its answer, then destroys: an early close would turn into a reset. */
  #linger(): void {
    if (this.#life === life.lingering || this.#life === life.closed) return
    this.#life = life.lingering
    this.#body = body.none
    this.#rest = undefined
    this.#partial = undefined
    this.#writer.flush()
    this.#arm(waits.linger, this.#plane.runtime.limits.writeStallMs)
    // The client's time to read begins when all has left.
    this.#socket.end(() => {
      if (this.#life === life.lingering) this.#arm(waits.linger, lingerMs)
    })
    this.#socket.resume()
  }

  /** A request that never became an exchange: answered, counted, and the connection ended. */
  #refuse(code: ErrorCode, reason: string, head: MessageHead): void {
    const plane = this.#plane
    const status = statusOf(code)
    const id = plane.ids.requestId()
    plane.metrics.rejected(plane.errorIndex[code])
    plane.metrics.requestDone(-1, status, 0, 3)
    plane.log.debug(`${code}: ${reason}`, { id, address: this.#peer })
    // Only a head that came whole says what was asked; a body behind the answer to HEAD would be read as another answer.
    const isHead = head.text === '' ? head.isHead : head.text.startsWith('HEAD ')
    plane.giveHead(head)
    const text = `${code}: ${errorTable[code].text}: ${reason}\nrequest id: ${id}\n`
    this.#socket.write(
      `${statusLine(status)}Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\n` +
        `X-Request-Id: ${id}\r\nConnection: close\r\n\r\n${isHead ? '' : text}`,
      'latin1',
    )
    this.#linger()
  }

  #onDrain(): void {
    if (this.#waits === waits.write) {
      if (this.#body !== body.none && !this.#bodyPaused)
        this.#arm(waits.body, this.#plane.runtime.limits.bodyIdleMs)
      else if (this.#exchange === undefined) this.#arm(waits.idle, this.#plane.runtime.limits.keepAliveMs)
      else this.#plane.wheel.clear(this)
    }
    if (this.#full && this.#life === life.open) {
      this.#full = false
      this.#next()
      if (this.#rest === undefined && !this.gone) this.#socket.resume()
    }
    this.#exchange?.clientDrain()
  }

  /** The client sends nothing more (RFC 9112 §9.6; http-intermediary 14). */
  #onEnd(): void {
    this.#halfClosed = true
    if (this.#life === life.tunnel) this.#exchange?.clientTunnelEnd()
    else if (this.#life !== life.open || this.#rest !== undefined) return
    else if (this.#exchange === undefined) this.#linger()
    else if (this.#body !== body.none) {
      this.#exchange.clientAbort()
      this.#socket.destroy()
    }
  }

  #onClose(): void {
    this.#life = life.closed
    this.#plane.wheel.remove(this)
    if (this.#head) this.#plane.giveHead(this.#head)
    this.#head = undefined
    this.#exchange?.clientAbort()
    this.#host.closed(this)
  }

  onDeadline(): void {
    const waited = this.#waits
    if (waited === waits.head && (this.#partial !== undefined || this.#head !== undefined)) {
      const head = this.#head ?? this.#plane.takeHead()
      this.#head = undefined
      this.#refuse('MR_REQUEST_TIMEOUT', 'the head did not arrive in time', head)
    } else if (waited === waits.body) this.#exchange?.fail('MR_REQUEST_TIMEOUT')
    else if (waited === waits.write || waited === waits.linger) this.#socket.destroy()
    else if (this.#life === life.tunnel) this.#socket.destroy()
    else if (this.#exchange === undefined) this.#linger()
  }
}
