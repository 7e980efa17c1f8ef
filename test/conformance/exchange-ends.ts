/** Both ends of one exchange: a backend that remembers what it saw, and a client. Node's own HTTP, on sockets of this machine. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ExchangeRequest {
  /** Default GET. */
  readonly method?: string
  /** With its query. Default `/`. */
  readonly path?: string
  /** `host` is `shop.example.com` unless it stands here. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface BackendAnswer {
  /** Default 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Default `ok`. */
  readonly body?: string | Uint8Array
}

/** Names in lower case; several fields of one name are joined by `, `. */
export type ExchangeHeaders = Readonly<Record<string, string>>

/** A request as a backend got it. */
export interface SeenRequest {
  /** Whose backend it was. */
  readonly service: string
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly headers: ExchangeHeaders
  readonly body: string
}

/** An answer as the client got it. */
export interface ReceivedAnswer {
  readonly status: number
  readonly headers: ExchangeHeaders
  readonly body: string
  /** False: it was cut off. */
  readonly isWhole: boolean
}

/** undefined: the connection breaks off in place of an answer. */
export type AnswerFor = (request: SeenRequest) => BackendAnswer | undefined

export interface Backend {
  readonly url: string
  close(): Promise<void>
}

/** @param failed told of what `answer` throws */
export async function startBackend(
  service: string,
  answer: AnswerFor,
  seen: SeenRequest[],
  failed: (error: unknown) => void,
): Promise<Backend> {
  const server = http.createServer((incoming, response) => {
    const pieces: Buffer[] = []
    incoming.on('data', (piece: Buffer) => pieces.push(piece))
    // A request that is cut off was not seen whole.
    incoming.on('error', () => {})
    incoming.on('end', () => {
      const { method = '', url: path = '', rawHeaders } = incoming
      const body = Buffer.concat(pieces).toString()
      const request: SeenRequest = { service, method, path, headers: headersOf(rawHeaders), body }
      seen.push(request)
      try {
        const found = answer(request)
        if (found === undefined) incoming.socket.destroy()
        else write(response, found)
      } catch (error) {
        failed(error)
        incoming.socket.destroy()
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function write(
  response: http.ServerResponse,
  { status = 200, headers = {}, body = 'ok' }: BackendAnswer,
): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value as string | string[])
  response.end(body)
}

/** Sends one request on a connection of its own. @throws where no answer comes, in time or at all */
export async function send(
  port: number,
  { method = 'GET', path = '/', headers = {}, body }: ExchangeRequest,
  timeoutMs: number,
): Promise<ReceivedAnswer> {
  const agent = new http.Agent({ keepAlive: true })
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const sent = http.request({
    ...{ host: '127.0.0.1', port, method, path, agent },
    headers: { host: 'shop.example.com', ...length, ...headers },
  })
  const timer = setTimeout(() => sent.destroy(new Error(`no whole answer in ${timeoutMs} ms`)), timeoutMs)
  try {
    return await new Promise<ReceivedAnswer>((resolve, reject) => {
      sent.on('error', reject)
      sent.on('response', (response) => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('error', () => {})
        response.once('close', () => {
          const { statusCode: status = 0, rawHeaders, complete: isWhole } = response
          resolve({ status, headers: headersOf(rawHeaders), body: Buffer.concat(pieces).toString(), isWhole })
        })
      })
      sent.end(body)
    })
  } finally {
    clearTimeout(timer)
    agent.destroy()
  }
}

/** @param raw names and values in turn, as Node has them */
function headersOf(raw: readonly string[]): ExchangeHeaders {
  const headers: Record<string, string> = {}
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at].toLowerCase()
    headers[name] = name in headers ? `${headers[name]}, ${raw[at + 1]}` : raw[at + 1]
  }
  return headers
}
