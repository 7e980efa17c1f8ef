/** The least that node:http and undici can do as a proxy; run as `node passthrough.ts PORT BACKEND-PORT`. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Dispatcher, Pool } from 'undici'

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
])

/** Copies one response to the client, with back-pressure. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#response.on('close', () => {
      if (!this.#response.writableFinished) controller.abort(new Error('the client left'))
    })
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: IncomingMessage['headers'],
  ): void {
    delete headers.connection
    delete headers['keep-alive']
    delete headers['transfer-encoding']
    this.#response.writeHead(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return
    controller.pause()
    this.#response.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    this.#response.end()
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy()
    else this.#response.writeHead(502).end()
  }
}

function forwardedHeaders(request: IncomingMessage): string[] {
  const headers: string[] = []
  const raw = request.rawHeaders
  for (let at = 0; at < raw.length; at += 2) {
    if (!hopByHop.has(raw[at].toLowerCase())) headers.push(raw[at], raw[at + 1])
  }
  headers.push('X-Forwarded-For', request.socket.remoteAddress ?? '')
  return headers
}

const [port, backendPort] = process.argv.slice(2).map(Number)
const pool = new Pool(`http://127.0.0.1:${backendPort}`, { connections: 256, pipelining: 1 })
const server = createServer({ keepAliveTimeout: 300_000 }, (request, response) => {
  const body = request.headers['content-length'] ?? request.headers['transfer-encoding']
  pool.dispatch(
    {
      path: request.url ?? '/',
      method: request.method ?? 'GET',
      headers: forwardedHeaders(request),
      body: body === undefined ? null : request,
    },
    new Relay(response),
  )
})
server.listen({ port, host: '127.0.0.1', backlog: 4096 })
