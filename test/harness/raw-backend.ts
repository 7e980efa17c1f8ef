/** A backend made of raw sockets: it records every byte, reads requests with the independent strict reader, and answers
 * with whatever bytes the test chooses. */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { release, type Scoped } from './cleanup.ts'
import { type RawRequest, RequestReader } from './message-reader.ts'
import { until } from './until.ts'

/** One accepted connection. */
export interface BackendConnection {
  readonly index: number
  readonly socket: net.Socket
  readonly reader: RequestReader
  /** Every byte that came, in order. */
  readonly received: Buffer
  /** Complete requests, in order. */
  readonly requests: RawRequest[]
  /** Why the bytes are not a sequence of strict requests, if they are not. */
  readonly error: string | undefined
  /** A FIN came. It is answered by a FIN at once, as by any server, unless `halfOpen`. */
  ended: boolean
  /** Set it to go on writing after a FIN. */
  halfOpen: boolean
  /** Closed both ways; `reset` says whether by RST. */
  closed: boolean
  reset: boolean
  write(data: string | Uint8Array): void
  /** Writes and sends FIN. */
  end(data?: string | Uint8Array): void
  /** Sends RST. */
  abort(): void
}

export interface BackendScript {
  onConnection?(connection: BackendConnection): void
  /** When a head is complete, before its body. */
  onHead?(request: RawRequest, connection: BackendConnection): void
  /** When a request is complete. */
  onRequest?(request: RawRequest, connection: BackendConnection): void
}

export type Handler = (request: RawRequest, connection: BackendConnection) => void

export interface RawBackend {
  readonly port: number
  readonly url: string
  readonly server: net.Server
  readonly connections: BackendConnection[]
  /** Complete requests over all connections, in the order they were completed. */
  readonly requests: RawRequest[]
  /** Connections that are not closed. */
  readonly open: BackendConnection[]
  /** What to do from now on; may be replaced at any time. */
  script: BackendScript
  /** Sets `onRequest` alone. */
  respond(handler: Handler): void
  /** Stops accepting and closes all connections. */
  stop(): Promise<void>
  /**
   * Closes all connections and forgets what was seen. Idle ones by FIN, waiting for the proxy's own FIN, so that it cannot
   * use one of them for the next request.
   */
  clear(): Promise<void>
}

export interface BackendOptions extends Scoped {
  readonly host?: string
  /** A unix socket instead of a port. */
  readonly path?: string
  readonly port?: number
  readonly tls?: tls.TlsOptions
  /** Keep what came, byte for byte; off for large transfers. Default true. */
  readonly record?: boolean
}

class Connection implements BackendConnection {
  readonly index: number
  readonly socket: net.Socket
  readonly reader = new RequestReader()
  readonly requests: RawRequest[] = this.reader.messages
  ended = false
  halfOpen = false
  closed = false
  reset = false
  private pieces: Buffer[] = []

  constructor(index: number, socket: net.Socket, record: boolean) {
    this.index = index
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (piece: Buffer) => {
      if (record) this.pieces.push(piece)
      this.reader.push(piece)
    })
    socket.on('end', () => {
      this.ended = true
      this.reader.finish()
      if (!this.halfOpen) socket.end()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.reset = this.reset || error.code === 'ECONNRESET' || error.code === 'EPIPE'
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  get received(): Buffer {
    if (this.pieces.length > 1) this.pieces = [Buffer.concat(this.pieces)]
    return this.pieces[0] ?? Buffer.alloc(0)
  }

  get error(): string | undefined {
    return this.reader.error
  }

  write(data: string | Uint8Array): void {
    if (typeof data === 'string') this.socket.write(data, 'latin1')
    else this.socket.write(data)
  }

  end(data?: string | Uint8Array): void {
    if (data !== undefined) this.write(data)
    this.socket.end()
  }

  abort(): void {
    if (this.socket instanceof tls.TLSSocket) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }
}

/** Starts a backend on 127.0.0.1, port 0. The default answer is `200 OK` with the body `ok`. */
export async function rawBackend(
  script: Handler | BackendScript = (_, connection) => connection.write(response({ body: 'ok' })),
  options: BackendOptions = {},
): Promise<RawBackend> {
  const backend = new Backend(typeof script === 'function' ? { onRequest: script } : script, options)
  await backend.listen(options)
  release(options, () => backend.stop())
  return backend
}

class Backend implements RawBackend {
  readonly server: net.Server
  connections: BackendConnection[] = []
  requests: RawRequest[] = []
  script: BackendScript
  private scheme = 'http'
  /** Accepted sockets below TLS: a failed handshake leaves one that is no connection yet. */
  private readonly sockets = new Set<net.Socket>()

  constructor(script: BackendScript, options: BackendOptions) {
    this.script = script
    const accept = (socket: net.Socket): void => this.accept(socket, options.record ?? true)
    if (options.tls === undefined)
      this.server = net.createServer({ allowHalfOpen: true, noDelay: true }, accept)
    else {
      this.scheme = 'https'
      this.server = tls.createServer({ allowHalfOpen: true, ...options.tls }, accept)
      this.server.on('tlsClientError', () => {})
    }
    this.server.on('connection', (socket: net.Socket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
    })
  }

  get port(): number {
    const address = this.server.address()
    return address !== null && typeof address === 'object' ? address.port : 0
  }

  get url(): string {
    const address = this.server.address()
    if (typeof address === 'string') return `unix:${address}`
    const host = address?.family === 'IPv6' ? `[${address.address}]` : (address?.address ?? '127.0.0.1')
    return `${this.scheme}://${host}:${address?.port}`
  }

  get open(): BackendConnection[] {
    return this.connections.filter((connection) => !connection.closed)
  }

  respond(handler: Handler): void {
    this.script = { onRequest: handler }
  }

  async listen(options: BackendOptions): Promise<void> {
    if (options.path !== undefined) this.server.listen(options.path)
    else this.server.listen(options.port ?? 0, options.host ?? '127.0.0.1')
    await once(this.server, 'listening')
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const connection of this.open) connection.socket.destroy()
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  async clear(): Promise<void> {
    const { open } = this
    for (const { socket, reader } of open) {
      if (reader.idle) socket.end()
      else socket.destroy()
    }
    const gone = (): boolean => open.every(({ closed }) => closed)
    await until('the proxy closed its idle connections', gone, { timeoutMs: 2_000 }).catch(() => {
      for (const { socket } of open) socket.destroy()
    })
    this.connections = []
    this.requests = []
  }

  private accept(socket: net.Socket, record: boolean): void {
    const connection = new Connection(this.connections.length, socket, record)
    this.connections.push(connection)
    const { requests } = this
    connection.reader.onHead = (request) => this.script.onHead?.(request, connection)
    connection.reader.onMessage = (request) => {
      requests.push(request)
      this.script.onRequest?.(request, connection)
    }
    this.script.onConnection?.(connection)
  }
}

export interface ResponseParts {
  readonly status?: number
  readonly reason?: string
  readonly fields?: readonly string[]
  /** Sent with Content-Length, unless `fields` frame it otherwise. */
  readonly body?: string | Buffer
}

/** The bytes of a response. `fields` are whole lines: `X-A: 1`. */
export function response(parts: ResponseParts = {}): Buffer {
  const body = Buffer.isBuffer(parts.body) ? parts.body : Buffer.from(parts.body ?? '', 'latin1')
  const fields = parts.fields ?? []
  const status = parts.status ?? 200
  const framed = fields.some((line) => /^(content-length|transfer-encoding):/i.test(line))
  const lines = [`HTTP/1.1 ${status} ${parts.reason ?? (status === 200 ? 'OK' : 'Status')}`, ...fields]
  if (!framed && status >= 200 && status !== 204 && status !== 304)
    lines.push(`Content-Length: ${body.length}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body])
}
