/** A client made of one raw socket: writes any bytes in any pieces, and reads responses with the independent reader. */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { release, type Scoped } from './cleanup.ts'
import { type RawResponse, ResponseReader } from './message-reader.ts'
import { until } from './until.ts'

export interface ClientOptions extends Scoped {
  readonly host?: string
  readonly tls?: tls.ConnectionOptions
  /** Local address to connect from. */
  readonly from?: string
  /** Do not read the socket until {@link RawClient.resume}. */
  readonly paused?: boolean
}

/** How the peer ended the connection: `open` while it has not. */
export type Ending = 'open' | 'fin' | 'reset'

export class RawClient {
  readonly socket: net.Socket
  readonly reader = new ResponseReader()
  /** `reset` wins over `fin`. */
  ending: Ending = 'open'
  closed = false
  /** Resolves when the socket is closed, however. */
  readonly whenClosed: Promise<void>
  private pieces: Buffer[] = []
  private taken = 0

  constructor(socket: net.Socket) {
    this.socket = socket
    this.reader.onHead = (message) => {
      if (message.status === 101) this.reader.takeRaw()
    }
    socket.on('data', (piece: Buffer) => {
      this.pieces.push(piece)
      this.reader.push(piece)
    })
    socket.on('end', () => {
      if (this.ending === 'open') this.ending = 'fin'
      this.reader.finish()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') this.ending = 'reset'
    })
    this.whenClosed = new Promise((resolve) => {
      socket.on('close', () => {
        this.closed = true
        resolve()
      })
    })
  }

  /** Every byte that came. */
  get received(): Buffer {
    if (this.pieces.length > 1) this.pieces = [Buffer.concat(this.pieces)]
    return this.pieces[0] ?? Buffer.alloc(0)
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  /** Final responses so far. */
  get responses(): RawResponse[] {
    return this.reader.messages.filter(({ status }) => status >= 200)
  }

  /** Writes bytes as they are; strings are latin1. */
  write(data: string | Uint8Array): void {
    if (typeof data === 'string') this.socket.write(data, 'latin1')
    else this.socket.write(data)
  }

  /** Writes in pieces cut at the offsets, each in a turn of its own. */
  async writeSplit(data: string | Buffer, offsets: readonly number[]): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data
    let start = 0
    for (const end of [...offsets, bytes.length]) {
      if (this.socket.destroyed || !this.socket.writable) return
      await new Promise<void>((resolve) => this.socket.write(bytes.subarray(start, end), () => resolve()))
      await new Promise<void>((resolve) => setImmediate(resolve))
      start = end
    }
  }

  /** Byte by byte. */
  async writeSlowly(data: string | Buffer): Promise<void> {
    await this.writeSplit(
      data,
      Array.from({ length: data.length - 1 }, (_, index) => index + 1),
    )
  }

  /** Writes a request and waits for its final response. The method is read from the request line, for HEAD. */
  async request(data: string | Buffer): Promise<RawResponse> {
    this.expect(methodOf(data))
    this.write(data)
    return this.response()
  }

  /** Tells the reader that the next response is one to this method. */
  expect(method: string): void {
    this.reader.methods.push(method)
  }

  /** The next final response, whole. */
  async response(): Promise<RawResponse> {
    const index = this.taken++
    return until('a response came', () => {
      const found = this.responses[index]
      if (found !== undefined) return found
      if (this.reader.error !== undefined)
        throw new Error(`No strict response: ${this.reader.error}\n${this.text}`)
      if (this.ending !== 'open' || this.closed) {
        throw new Error(`The connection ended (${this.ending}) before a response:\n${this.text}`)
      }
      return undefined
    })
  }

  /** Half-closes: sends FIN. */
  end(): void {
    this.socket.end()
  }

  /** Sends RST (on TLS: destroys). */
  abort(): void {
    if (this.socket instanceof tls.TLSSocket) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  /** Waits until the peer has ended the connection, and says how. */
  async ended(): Promise<Ending> {
    await until('the proxy closed the connection', () => this.ending !== 'open' || this.closed)
    if (this.ending === 'fin') {
      // An RST may follow a FIN that came first; writing tells.
      this.socket.end()
      await until('the socket is closed', () => this.closed)
    }
    return this.ending
  }
}

function methodOf(data: string | Buffer): string {
  return data.toString('latin1').trimStart().slice(0, 32).split(' ')[0]
}

/** Connects to the port on 127.0.0.1; the connection is reset at the end of the test. */
export async function rawClient(port: number, options: ClientOptions = {}): Promise<RawClient> {
  const target = { host: options.host ?? '127.0.0.1', port, allowHalfOpen: true, noDelay: true }
  const local = options.from === undefined ? {} : { localAddress: options.from }
  const socket =
    options.tls === undefined
      ? net.connect({ ...target, ...local })
      : tls.connect({ ...target, ...local, ...options.tls })
  const client = new RawClient(socket)
  if (options.paused === true) socket.pause()
  // By RST: a FIN behind a complete request is a half-close, and the proxy would rightly go on with it.
  release(options, () => client.abort())
  await once(socket, options.tls === undefined ? 'connect' : 'secureConnect')
  return client
}

export interface RequestParts {
  readonly method?: string
  readonly target?: string
  readonly version?: string
  /** Whole lines; `Host: test` is put first unless one of them is a Host. */
  readonly fields?: readonly string[]
  /** Sent with Content-Length, unless `fields` frame it otherwise. */
  readonly body?: string
}

/** The bytes of a request, latin1. */
export function request(parts: RequestParts = {}): string {
  const fields = parts.fields ?? []
  const named = (name: string): boolean => fields.some((line) => line.toLowerCase().startsWith(`${name}:`))
  const lines = [`${parts.method ?? 'GET'} ${parts.target ?? '/'} ${parts.version ?? 'HTTP/1.1'}`]
  if (!named('host')) lines.push('Host: test')
  lines.push(...fields)
  const framed = named('content-length') || named('transfer-encoding')
  if (parts.body !== undefined && !framed) lines.push(`Content-Length: ${parts.body.length}`)
  return `${lines.join('\r\n')}\r\n\r\n${parts.body ?? ''}`
}

/** The bytes of a chunked body. */
export function chunked(pieces: readonly string[], trailers: readonly string[] = []): string {
  const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`)
  return `${chunks.join('')}0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`
}
