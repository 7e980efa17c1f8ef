/** Takes the requests of other nodes: HTTP at `node.advertise`, one path, bytes in and bytes out. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { listenError } from '../host/listen-error.ts'
import { type NodeAddress, nodeAddressText } from './address.ts'
import { Shares } from './shares.ts'

const mebibyte = 1024 * 1024
/** Of a payload. What gossip says of a member has some 100 bytes: this is a fleet of thousands. */
export const longestPayload = mebibyte
/** Of a message with its envelope. */
export const longestExchange = longestPayload + 64 * 1024
export const exchangePath = '/fleet'
/** What the bodies that are still arriving may hold together, and those of one address: nobody has proven anything yet. */
const mostHeld = { all: 32 * mebibyte, each: 4 * mebibyte }
/** Behind one address may be several nodes, with up to four connections each. */
const mostConnections = { all: 512, each: 256 }

/** A status of refusal, or the answer. */
export type ExchangeAnswer = Uint8Array | 403 | 404 | 500

export interface ExchangeServerDeps {
  readonly at: NodeAddress
  receive(bytes: Buffer, from: string): Promise<ExchangeAnswer>
}

export class ExchangeServer {
  readonly #deps: ExchangeServerDeps
  readonly #server: Server
  #opened: Promise<void> | undefined
  readonly #held = new Shares(mostHeld)
  readonly #connections = new Shares(mostConnections)

  constructor(deps: ExchangeServerDeps) {
    this.#deps = deps
    const limits = {
      headersTimeout: 5000,
      requestTimeout: 15_000,
      keepAliveTimeout: 30_000,
      maxHeaderSize: 4096,
    }
    this.#server = createServer(limits, (request, response) => {
      this.#handle(request, response).catch(() => request.destroy())
    })
    this.#server.maxConnections = mostConnections.all
    this.#server.on('connection', (socket) => {
      // Not there: it has left already.
      const { remoteAddress: address = '' } = socket
      if (this.#connections.take(address, 1)) socket.on('close', () => this.#connections.give(address, 1))
      else socket.destroy()
    })
  }

  /** Idempotent. @throws MR_LISTEN */
  open(): Promise<void> {
    this.#opened ??= this.#open()
    return this.#opened
  }

  async close(): Promise<void> {
    const isOpen = await this.#opened?.then(
      () => true,
      () => false,
    )
    if (!isOpen) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  #open(): Promise<void> {
    const { at } = this.#deps
    return new Promise((resolve, reject) => {
      // Stays: an accept that fails later (no file descriptors) is told in the same way, and rejects nothing any more.
      this.#server.on('error', (cause) =>
        reject(listenError('TCP of node.advertise', { ...at, socketPath: '' }, 'node.advertise', cause)),
      )
      this.#server.listen({ host: at.host, port: at.port, exclusive: true }, resolve)
    })
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST' || request.url !== exchangePath) return refuse(response, 404)
    if (Number(request.headers['content-length'] ?? 0) > longestExchange) return refuse(response, 413)
    const { remoteAddress = '', remotePort = 0 } = request.socket
    const parts: Buffer[] = []
    let length = 0
    try {
      for await (const part of request as AsyncIterable<Buffer>) {
        if (length + part.length > longestExchange) return refuse(response, 413)
        if (!this.#held.take(remoteAddress, part.length)) return refuse(response, 503)
        length += part.length
        parts.push(part)
      }
      const from = nodeAddressText({ host: remoteAddress, port: remotePort })
      const answer = await this.#deps.receive(Buffer.concat(parts), from)
      if (typeof answer === 'number') return refuse(response, answer)
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': answer.length })
      response.end(answer)
    } finally {
      if (length > 0) this.#held.give(remoteAddress, length)
    }
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { connection: 'close', 'content-length': 0 }).end()
}
