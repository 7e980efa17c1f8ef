import { Agent, type IncomingMessage, type RequestOptions, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What a client of the mixed load works with. */
export interface ClientContext {
  readonly port: number
  readonly agent: Agent
  readonly random: () => number
  readonly signal: AbortSignal
}

/** One act of one client: resolves when it is over, rejects when the answer was not what it must be. */
export type Act = (context: ClientContext) => Promise<void>

const mebibyte = Buffer.alloc(1024 * 1024, 'm')

/** How many clients of each kind run side by side. Those that misbehave on purpose expect nothing. */
export const clients: Readonly<Record<string, { readonly count: number; readonly act: Act }>> = {
  'get 64 B': { count: 8, act: (context) => get(context, '/64', 64) },
  'get 64 KiB': { count: 3, act: (context) => get(context, '/64k', 65_536) },
  'get 1 MiB': { count: 2, act: (context) => get(context, '/1m', 1_048_576) },
  'new connection': { count: 2, act: (context) => get({ ...context, agent: new Agent() }, '/64', 64) },
  'not found': { count: 1, act: (context) => get(context, '/absent', undefined, 404) },
  upload: { count: 3, act: upload },
  'chunked upload': { count: 2, act: chunkedUpload },
  'slow reader': { count: 3, act: slowReader },
  'abort in response': { count: 4, act: abortInResponse },
  'abort in upload': { count: 2, act: abortInUpload },
  'abort in head': { count: 2, act: abortInHead },
  'bad request': { count: 1, act: badRequest },
}

function options(context: ClientContext, path: string, more: RequestOptions = {}): RequestOptions {
  return { host: '127.0.0.1', port: context.port, path, agent: context.agent, timeout: 20_000, ...more }
}

/** Reads a response to its end and checks it. */
function finish(
  sent: ReturnType<typeof request>,
  expected: { bytes?: number; status?: number; read?: (response: IncomingMessage) => void },
): Promise<void> {
  return new Promise((resolve, reject) => {
    sent.once('error', reject)
    sent.once('timeout', () => sent.destroy(new Error('no answer in 20 s')))
    sent.once('response', (response) => {
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      expected.read?.(response)
      response.once('error', reject)
      response.once('end', () => {
        if (response.statusCode !== (expected.status ?? 200))
          reject(new Error(`status ${response.statusCode}`))
        else if (expected.bytes !== undefined && bytes !== expected.bytes) reject(new Error(`${bytes} bytes`))
        else resolve()
      })
    })
  })
}

function get(context: ClientContext, path: string, bytes: number | undefined, status = 200): Promise<void> {
  const sent = request(options(context, path))
  sent.end()
  return finish(sent, { bytes, status })
}

function upload(context: ClientContext): Promise<void> {
  const sent = request(
    options(context, '/upload', { method: 'POST', headers: { 'content-length': mebibyte.length } }),
  )
  sent.end(mebibyte)
  return finish(sent, { bytes: 64 })
}

async function chunkedUpload(context: ClientContext): Promise<void> {
  const sent = request(options(context, '/upload', { method: 'POST' }))
  const finished = finish(sent, { bytes: 64 })
  for (let piece = 0; piece < 16 && !sent.destroyed; piece++) {
    sent.write(mebibyte.subarray(0, 1 + Math.floor(context.random() * 65_536)))
    await delay(2)
  }
  sent.end()
  await finished
}

/** Takes some 3 MiB a second: the proxy must hold the backend back, not the bytes. */
function slowReader(context: ClientContext): Promise<void> {
  const sent = request(options(context, '/1m'))
  sent.end()
  const read = (response: IncomingMessage) => {
    response.on('data', () => {
      response.pause()
      setTimeout(() => response.resume(), 20)
    })
  }
  return finish(sent, { bytes: 1_048_576, read })
}

/** Leaves after a random part of the body, by reset or by FIN. */
function abortInResponse(context: ClientContext): Promise<void> {
  const limit = context.random() * 900_000
  const reset = context.random() < 0.5
  return rawClient(context, `GET /1m HTTP/1.1\r\nHost: bench\r\n\r\n`, (socket, received) => {
    if (received < limit) return
    if (reset) socket.resetAndDestroy()
    else socket.destroy()
  })
}

async function abortInUpload(context: ClientContext): Promise<void> {
  const half = mebibyte.subarray(0, Math.floor(context.random() * 900_000))
  const head = `POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: ${mebibyte.length}\r\n\r\n`
  await rawClient(context, Buffer.concat([Buffer.from(head), half]), undefined, 5 + context.random() * 30)
}

function abortInHead(context: ClientContext): Promise<void> {
  return rawClient(context, 'GET /64 HTTP/1.1\r\nHost: ben', undefined, 5 + context.random() * 30)
}

function badRequest(context: ClientContext): Promise<void> {
  return rawClient(context, 'GET /64 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', (socket) => socket.destroy())
}

/** Writes, looks at what comes, leaves at the latest after `leaveAfterMs`. Resolves when the connection is gone. */
function rawClient(
  context: ClientContext,
  bytes: string | Buffer,
  onData?: (socket: ReturnType<typeof connect>, received: number) => void,
  leaveAfterMs = 10_000,
): Promise<void> {
  return new Promise((resolve) => {
    let received = 0
    const socket = connect(context.port, '127.0.0.1')
    const timer = setTimeout(() => socket.destroy(), leaveAfterMs)
    socket.on('data', (chunk) => {
      received += chunk.length
      onData?.(socket, received)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.write(bytes)
  })
}
