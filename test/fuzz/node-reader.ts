/** Node's own parser as the fuzz sees it: a real `node:http` server over in-memory duplex streams. */
import http from 'node:http'
import { Duplex } from 'node:stream'
import type { ReadMessage } from './our-reader.ts'

/** In-memory socket: what the server writes is dropped. */
class MemorySocket extends Duplex {
  override _read(): void {}

  override _write(_chunk: unknown, _encoding: BufferEncoding, done: () => void): void {
    done()
  }

  setTimeout(): void {}
}

export interface NodeReading {
  readonly messages: ReadMessage[]
  /** Code of the parser's error, if it refused something. */
  readonly error: string | undefined
}

interface Pending {
  message: ReadMessage
  complete: boolean
}

interface Session {
  readonly pending: Pending[]
  error: string | undefined
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export class NodeReader {
  readonly #server: http.Server
  readonly #sessions = new WeakMap<object, Session>()

  constructor() {
    this.#server = http.createServer({
      insecureHTTPParser: false,
      requireHostHeader: false,
      keepAliveTimeout: 0,
    })
    this.#server.maxHeadersCount = 0
    this.#server.headersTimeout = 0
    this.#server.requestTimeout = 0
    const take = (request: http.IncomingMessage): void => this.#take(request)
    for (const event of ['request', 'checkContinue', 'checkExpectation']) this.#server.on(event, take)
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: object) => {
      const session = this.#sessions.get(socket)
      if (session !== undefined) session.error = error.code ?? error.message
    })
  }

  #take(request: http.IncomingMessage): void {
    const session = this.#sessions.get(request.socket)
    if (session === undefined) return
    const body: Buffer[] = []
    const pending: Pending = {
      complete: false,
      message: {
        method: request.method ?? '',
        target: request.url ?? '',
        minor: request.httpVersionMinor,
        fields: request.rawHeaders,
        body: '',
        trailers: [],
      },
    }
    session.pending.push(pending)
    request.on('data', (piece: Buffer) => body.push(piece))
    request.on('end', () => {
      pending.complete = request.complete
      pending.message = {
        ...pending.message,
        body: Buffer.concat(body).toString('latin1'),
        trailers: request.rawTrailers,
      }
    })
    request.on('error', () => {})
  }

  /** Reads a connection's worth of bytes; `expected` is how many messages there should be. */
  async read(bytes: Buffer, expected: number): Promise<NodeReading> {
    const socket = new MemorySocket()
    const session: Session = { pending: [], error: undefined }
    this.#sessions.set(socket, session)
    socket.on('error', () => {})
    this.#server.emit('connection', socket)
    socket.push(bytes)
    const done = (): boolean =>
      session.error !== undefined || session.pending.filter(({ complete }) => complete).length >= expected
    // Bodies flow on later turns; a parser that waits for more bytes never gets there.
    for (let turns = 0; turns < 20 && !done(); turns++) await turn()
    const messages = session.pending.filter(({ complete }) => complete).map(({ message }) => message)
    socket.destroy()
    return { messages, error: session.error }
  }

  close(): void {
    this.#server.close()
  }
}
