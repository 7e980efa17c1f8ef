/** Takes the requests of other nodes: HTTP at `node.advertise`, one path, bytes in and bytes out. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { listenError } from '../host/listen-error.ts'
import { type NodeAddress, nodeAddressText } from './address.ts'

/** Of a message with its envelope. */
export const longestExchange = 8 * 1024 * 1024 + 64 * 1024
export const exchangePath = '/fleet'
/** What all bodies that are still arriving may hold together: nobody has proven anything yet. */
const mostHeld = 64 * 1024 * 1024
const mostConnections = 512

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
  #held = 0

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
    this.#server.maxConnections = mostConnections
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
    const parts: Buffer[] = []
    let length = 0
    try {
      for await (const part of request as AsyncIterable<Buffer>) {
        length += part.length
        this.#held += part.length
        if (length > longestExchange) return refuse(response, 413)
        if (this.#held > mostHeld) return refuse(response, 503)
        parts.push(part)
      }
      const { remoteAddress = '', remotePort = 0 } = request.socket
      const from = nodeAddressText({ host: remoteAddress, port: remotePort })
      const answer = await this.#deps.receive(Buffer.concat(parts), from)
      if (typeof answer === 'number') return refuse(response, answer)
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': answer.length })
      response.end(answer)
    } finally {
      this.#held -= length
    }
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { connection: 'close', 'content-length': 0 }).end()
}
