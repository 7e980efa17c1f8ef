/** A listener of one data thread: accepts, limits, unwraps PROXY and TLS, and hands each connection to an HTTP client. */
import net from 'node:net'
import tls from 'node:tls'
import type { LimitsConfig, ListenerConfig } from '../config/snapshot.ts'
import type { Timer } from '../contracts/plugin.ts'
import { listenerError } from '../host/listen-error.ts'
import { addressCells, type SharedTable, sumColumn } from '../threads/table.ts'
import { hashString } from './hash-key.ts'
import { Http1Client } from './http1-client.ts'
import type { PlaneContext } from './plane-context.ts'
import { parseProxyHeader } from './proxy-protocol.ts'
import { CheckedRequest } from './request-check.ts'
import { TlsContexts, TlsTermination } from './tls-contexts.ts'

/** Connections that wait for `accept`. */
const backlog = 4096
const writeMark = 16 * 1024

export interface ListenerDeps {
  readonly plane: PlaneContext
  readonly table: SharedTable
  readonly thread: number
  readonly ticketKeys: Buffer
}

export class Listener {
  readonly name: string
  closing = false
  config: ListenerConfig
  readonly #deps: ListenerDeps
  readonly #server: net.Server
  readonly #secure: tls.Server | undefined
  readonly #termination: TlsTermination | undefined
  readonly #clients = new Set<Http1Client>()
  readonly #checked = new CheckedRequest()
  /** Connections accepted before the snapshot was committed. */
  #early: net.Socket[] | undefined = []

  private constructor(config: ListenerConfig, deps: ListenerDeps, handshakeMs: number) {
    this.name = config.name
    this.config = config
    this.#deps = deps
    // A small mark makes every large write end in a drain event: see Connection.
    const options = { allowHalfOpen: true, noDelay: true, highWaterMark: writeMark, pauseOnConnect: false }
    if (config.tls) {
      const contexts = TlsContexts.build(config.name, config.tls)
      this.#termination = new TlsTermination(contexts, deps.ticketKeys, handshakeMs)
      this.#secure = tls.createServer({ ...this.#termination.options, ...options })
      this.#termination.attach(this.#secure)
      this.#secure.on('secureConnection', (socket) => this.#serveSecure(socket))
    }
    this.#server = net.createServer(options, (socket) => this.#accept(socket))
  }

  /** Opens it; connections are held until `start`. @throws MR_LISTEN, MR_TLS */
  static async open(
    config: ListenerConfig,
    port: number,
    deps: ListenerDeps,
    limits: LimitsConfig,
  ): Promise<Listener> {
    const listener = new Listener(config, deps, limits.tlsHandshakeMs)
    const where = config.socketPath
      ? { path: config.socketPath, backlog }
      : { host: config.host, port, backlog, reusePort: canReusePort(), exclusive: true }
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', (error) => reject(listenerError({ ...config, port }, error)))
      listener.#server.listen(where, resolve)
    })
    listener.#server.removeAllListeners('error')
    // Accept errors (no descriptors left) concern one connection, not the listener.
    listener.#server.on('error', (error) => deps.plane.log.warn(`listener ${config.name}: ${error.message}`))
    return listener
  }

  get clientCount(): number {
    return this.#clients.size
  }

  start(): void {
    const early = this.#early
    this.#early = undefined
    // Who has gone meanwhile will never be seen to close.
    for (const socket of early ?? []) if (!socket.destroyed) this.#accept(socket)
  }

  /** @throws MR_TLS; nothing has changed then */
  checkTls(config: ListenerConfig): TlsContexts | undefined {
    return config.tls && this.#termination
      ? TlsContexts.build(config.name, config.tls, this.#termination.contexts)
      : undefined
  }

  update(config: ListenerConfig, contexts: TlsContexts | undefined): void {
    this.config = config
    if (contexts) this.#termination?.replace(contexts)
  }

  /** The cell that counts connections of an address, over all threads. */
  #cell(address: string): number {
    return hashString(address) % addressCells
  }

  #accept(socket: net.Socket): void {
    if (this.#early) {
      socket.on('error', () => {})
      this.#early.push(socket)
      return
    }
    const { plane, table, thread } = this.#deps
    const limits: LimitsConfig = plane.runtime.limits
    const address = addressOf(socket)
    const cell = this.#cell(address)
    let connections = 0
    for (let i = 0; i < table.clients.length; i++) connections += table.clients[i]
    const crowded = connections >= limits.connections
    if (crowded || (address !== '' && sumColumn(table.addresses, cell) >= limits.connectionsPerAddress)) {
      plane.metrics.rejected(plane.errorIndex.MR_OVERLOADED)
      socket.on('error', () => {})
      // Unix sockets have no reset.
      if (this.config.socketPath) socket.destroy()
      else socket.resetAndDestroy()
      return
    }
    plane.metrics.clientAccepted()
    table.clients[thread]++
    table.addresses[thread][cell]++
    socket.once('close', () => {
      table.clients[thread]--
      table.addresses[thread][cell]--
    })
    if (this.config.proxyProtocol) this.#readProxyHeader(socket)
    else this.#secureOrServe(socket, address)
  }

  #secureOrServe(socket: net.Socket, address: string): void {
    if (!this.#secure) {
      this.#serve(socket, socket, address, 'http')
      return
    }
    const key = endpointOf(socket)
    // The server's own handshake timeout is fixed when it is made; this one follows the limits of the day.
    const { plane } = this.#deps
    const late = plane.clock.after(plane.runtime.limits.tlsHandshakeMs, () => socket.destroy())
    // Unix sockets have no endpoint to tell them apart by: they go without.
    if (!this.config.socketPath) this.#wrapped.set(key, { address, socket, late })
    socket.once('close', () => {
      late.cancel()
      this.#wrapped.delete(key)
    })
    this.#secure.emit('connection', socket)
  }

  /** Connections under TLS by their endpoint: a secure socket shows neither what it wraps nor what a PROXY header said. */
  readonly #wrapped = new Map<
    string,
    { readonly address: string; readonly socket: net.Socket; readonly late: Timer }
  >()

  #serveSecure(socket: net.Socket): void {
    const wrapped = this.#wrapped.get(endpointOf(socket))
    wrapped?.late.cancel()
    this.#serve(socket, wrapped?.socket ?? socket, wrapped?.address ?? addressOf(socket), 'https')
  }

  #serve(socket: net.Socket, transport: net.Socket, address: string, scheme: 'http' | 'https'): void {
    const { plane } = this.#deps
    this.#clients.add(new Http1Client({ socket, transport }, address, scheme, this, plane, this.#checked))
  }

  closed(client: Http1Client): void {
    this.#clients.delete(client)
  }

  #readProxyHeader(socket: net.Socket): void {
    let bytes: Buffer = Buffer.alloc(0)
    const timer = this.#deps.plane.clock.after(this.#deps.plane.runtime.limits.headTimeoutMs, () =>
      socket.destroy(),
    )
    const ignore = (): void => {}
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      const header = parseProxyHeader(bytes)
      if (header.status === 'incomplete') return
      timer.cancel()
      socket.off('data', onData)
      if (header.status === 'invalid') {
        this.#deps.plane.log.debug(`listener ${this.name}: ${header.reason}`)
        socket.destroy()
        return
      }
      socket.pause()
      socket.off('error', ignore)
      if (header.length < bytes.length) socket.unshift(bytes.subarray(header.length))
      this.#secureOrServe(socket, header.source?.address ?? addressOf(socket))
      if (!this.#secure) socket.resume()
    }
    socket.on('error', ignore)
    socket.once('close', () => timer.cancel())
    socket.on('data', onData)
  }

  closeIdle(): void {
    for (const client of this.#clients) client.closeIfIdle()
  }

  /** Stops accepting; open connections go on. */
  close(): Promise<void> {
    this.closing = true
    for (const socket of this.#early ?? []) socket.destroy()
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      // `close` waits for connections; what matters here is that the port is free.
      resolve()
    })
  }

  destroy(): void {
    void this.close()
    for (const client of [...this.#clients]) client.destroy()
  }
}

function addressOf(socket: net.Socket): string {
  const address = socket.remoteAddress ?? ''
  // IPv4 clients of a dual-stack socket are known by their IPv4 address.
  return address.startsWith('::ffff:') && net.isIPv4(address.slice(7)) ? address.slice(7) : address
}

function endpointOf(socket: net.Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`
}

/** Where the kernel spreads connections over several listeners of one port (node:net `reusePort`). */
export function canReusePort(): boolean {
  return ['linux', 'freebsd', 'dragonfly', 'sunos', 'aix'].includes(process.platform)
}
