/**
 * One connection to a backend: a socket, its read buffer and its back-pressure. It knows no protocol; what the bytes mean
 * is its handler's affair.
 */
import net from 'node:net'
import tls from 'node:tls'
import { ReadBuffers } from './buffers.ts'

export interface ConnectionHandler {
  onConnect(): void
  /** Bytes [0, length). They are valid until this returns, unless `hold` is called; see ReadBuffers. */
  onBytes(bytes: Buffer, length: number): void
  /** The peer sends nothing more (FIN). */
  onEnd(): void
  /** Everything handed to `write` has left, after `write` had returned false. */
  onDrain(): void
  /** Last event. */
  onClose(error: Error | undefined): void
}

/** Where to connect to. */
export interface Endpoint {
  readonly socketPath: string
  /** Literal address. */
  readonly address: string
  readonly port: number
  /** Present for https: verified options of `tls.connect`. */
  readonly tls: tls.ConnectionOptions | undefined
}

/** Write bytes up to which `write` says "go on". Writes of more always end in a drain event, which ownership relies on. */
export const writeMark = 16 * 1024

export class Connection {
  readonly socket: net.Socket
  readonly #handler: ConnectionHandler
  readonly #buffers: ReadBuffers
  /** TLS and unix sockets have no reset: asking for one throws. */
  readonly #resets: boolean
  #own: Buffer | undefined = undefined
  /** What the socket reads into next. */
  #readsInto: Buffer | undefined = undefined
  /** A read since the last answer ended brought more than the shared buffer holds. */
  #large = false
  /** Its own buffer counts as one of those that are kept between answers. */
  #kept = false
  /** The handler is in the middle of a message that is worth a buffer of its own. */
  streaming = false
  #error: Error | undefined = undefined
  #paused = false
  /** Inside a read callback: only then may the buffer be exchanged, because the socket asks for the next one after it. */
  #inRead = false
  /** The last read filled its buffer: more is waiting, and the socket reads on at once. */
  filled = false
  connected = false
  closed = false

  constructor(endpoint: Endpoint, handler: ConnectionHandler, buffers: ReadBuffers) {
    this.#handler = handler
    this.#buffers = buffers
    this.#resets = endpoint.tls === undefined && endpoint.socketPath === ''
    this.socket = endpoint.tls ? this.#connectTls(endpoint) : this.#connectPlain(endpoint)
    const socket = this.socket
    socket.setDefaultEncoding('latin1')
    socket.on('end', () => this.#handler.onEnd())
    socket.on('drain', () => this.#handler.onDrain())
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('close', () => {
      this.closed = true
      this.#releaseBuffer()
      this.#handler.onClose(this.#error)
    })
  }

  #connectPlain(endpoint: Endpoint): net.Socket {
    const onread = {
      // The socket keeps the buffer it has when it is given none, which costs less than the same one again.
      buffer: (): Buffer | undefined => {
        const next = this.#nextBuffer()
        if (next === this.#readsInto && this.connected) return undefined
        this.#readsInto = next
        return next
      },
      callback: (length: number, bytes: Uint8Array): boolean => {
        this.#inRead = true
        this.filled = length === bytes.length
        if (length > ReadBuffers.sharedBytes) this.#large = true
        this.#handler.onBytes(bytes as Buffer, length)
        this.#inRead = false
        return !this.#paused
      },
    }
    const common = { onread, allowHalfOpen: true, highWaterMark: writeMark }
    const socket = endpoint.socketPath
      ? net.connect({ path: endpoint.socketPath, ...common } as net.NetConnectOpts)
      : net.connect({
          host: endpoint.address,
          port: endpoint.port,
          noDelay: true,
          keepAlive: true,
          autoSelectFamily: false,
          ...common,
        } as net.NetConnectOpts)
    socket.once('connect', () => this.#onConnect())
    return socket
  }

  #connectTls(endpoint: Endpoint): net.Socket {
    const target = endpoint.socketPath
      ? { path: endpoint.socketPath }
      : { host: endpoint.address, port: endpoint.port }
    // Not in the published types, but every option of a socket is passed on to it.
    const common: object = { allowHalfOpen: true, highWaterMark: writeMark }
    const socket = tls.connect({ ...endpoint.tls, ...target, ...common })
    if (!endpoint.socketPath) socket.setNoDelay(true)
    socket.once('secureConnect', () => this.#onConnect())
    // TLS decrypts into fresh buffers: nothing to own.
    socket.on('data', (bytes: Buffer) => this.#handler.onBytes(bytes, bytes.length))
    return socket
  }

  #onConnect(): void {
    if (this.closed || this.socket.destroyed) return
    this.connected = true
    this.#handler.onConnect()
  }

  /** HOT Chooses the buffer of the next read; called by the socket after each read. */
  #nextBuffer(): Buffer {
    if (this.streaming) {
      if (this.#own === undefined) this.#own = this.#buffers.takeSmall()
      else if (this.filled && this.#own.length === ReadBuffers.smallBytes) this.#grow(this.#own)
      return this.#own
    }
    // Who answers at length is likely to do so again: with its own buffer, in one read instead of two.
    const own = this.#own
    if (own !== undefined && this.#large && own.length === ReadBuffers.smallBytes) {
      this.#large = false
      this.#kept ||= this.#buffers.keep()
      if (this.#kept) return own
    }
    this.#large = false
    this.#releaseBuffer()
    return this.#buffers.shared
  }

  /**
   * HOT How many bytes before offset `start` of `bytes` may be overwritten.
   * @param from offset of the message that `start` is in; what stands before it may still be on its way to somebody else
   */
  roomBefore(bytes: Buffer, from: number, start: number): number {
    if (bytes !== this.#own || !this.#inRead) return 0
    return from === 0 ? ReadBuffers.headroom + start : start - from
  }

  /** The bytes given last are still being written: the buffer is left to that write, and another one is read into. */
  hold(): void {
    if (!this.#inRead || this.#own === undefined) return
    this.#buffers.forget(this.#own)
    this.#dropBuffer()
  }

  #grow(small: Buffer): void {
    const large = this.#buffers.takeLarge()
    if (large === undefined) return
    this.#buffers.give(small)
    this.#own = large
  }

  /** HOT True when the bytes given to `onBytes` will be overwritten by another connection. */
  isShared(bytes: Buffer): boolean {
    return bytes === this.#buffers.shared
  }

  #releaseBuffer(): void {
    if (this.#own === undefined) return
    this.#buffers.give(this.#own)
    this.#dropBuffer()
  }

  #dropBuffer(): void {
    this.#own = undefined
    if (this.#kept) this.#buffers.unkeep()
    this.#kept = false
  }

  /** HOT Returns false when the writer should wait for `onDrain`. Strings are latin1. */
  write(data: string | Uint8Array): boolean {
    return this.socket.write(data)
  }

  /** HOT Nothing can be written or read any more, whether or not the close event has come. */
  get gone(): boolean {
    return this.closed || this.socket.destroyed
  }

  get paused(): boolean {
    return this.#paused
  }

  get pending(): boolean {
    return this.socket.writableLength > 0
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.socket.resume()
  }

  /** Sends FIN after what was written. */
  end(): void {
    if (!this.socket.destroyed) this.socket.end()
  }

  destroy(): void {
    // Its close event comes at the end of the loop turn: nobody takes it for a connection until then.
    this.connected = false
    this.socket.destroy()
  }

  /** Ends in a reset, where the transport has one: the peer must not take what it has for the whole. */
  reset(): void {
    this.connected = false
    // After a FIN there is no reset: libuv refuses it, and the socket would never close.
    if (this.#resets && !this.socket.writableEnded) this.socket.resetAndDestroy()
    else this.socket.destroy()
  }
}
