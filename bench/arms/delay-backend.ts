/**
 * A backend that takes its time and knows how much it took: `node delay-backend.ts OPTIONS-JSON`. `GET /-/delays` gives the
 * quantiles of what it recorded since the last call, from the request's arrival to the end of its answer; `GET /-/accepted`
 * the number of connections it has accepted, that one's too. It shares a core with the load generator, so it is bytes on
 * `node:net`: requests of the bench have no body, and node:http costs it twice the time.
 */
import { createServer, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { TimeHistogram } from '../stats/quantiles.ts'
import { seededRandom } from '../stats/random.ts'

export interface DelayOptions {
  readonly port: number
  /** Median, milliseconds; 0 answers at once. */
  readonly delayMs: number
  /** Of the logarithm; 0: every answer takes the same. */
  readonly sigma: number
  readonly seed: number
  readonly bodyBytes: number
  /** Stands still once for so long, at the first request after `stallAfterMs`; 0: never. */
  readonly stallMs: number
  readonly stallAfterMs: number
}

/** Log-normal with this median: exp(sigma × N(0, 1)) times it (Box, Muller 1958). */
export function delays(options: Pick<DelayOptions, 'delayMs' | 'sigma' | 'seed'>): () => number {
  const { delayMs, sigma, seed } = options
  if (sigma === 0) return () => delayMs
  const random = seededRandom(seed)
  return () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    return delayMs * Math.exp(sigma * normal)
  }
}

/** Of a head whose sender closes the connection after the answer. */
const closes = /\r\nconnection: *close/i
const headEnd = '\r\n\r\n'

/** One answer, in its place among those of its connection. */
interface Pending {
  readonly arrived: number
  readonly isLast: boolean
  /** What to send; undefined while it takes its time. */
  response: string | undefined
}

class DelayServer {
  readonly #options: DelayOptions
  readonly #delay: () => number
  readonly #response: string
  readonly #started = performance.now()
  #recorded = new TimeHistogram()
  #accepted = 0
  #stalled: boolean

  constructor(options: DelayOptions) {
    this.#options = options
    this.#delay = delays(options)
    this.#response = responseOf('a'.repeat(options.bodyBytes))
    this.#stalled = options.stallMs === 0
  }

  listen(): void {
    const server = createServer({ noDelay: true }, (socket) => this.#serve(socket))
    server.listen({ port: this.#options.port, host: '127.0.0.1', backlog: 4096 })
  }

  #serve(socket: Socket): void {
    this.#accepted++
    const pending: Pending[] = []
    let text = ''
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf(headEnd); end >= 0; end = text.indexOf(headEnd)) {
        this.#take(socket, pending, text.slice(0, end))
        text = text.slice(end + headEnd.length)
      }
    })
  }

  #take(socket: Socket, pending: Pending[], head: string): void {
    const arrived = performance.now()
    const one: Pending = { arrived, isLast: closes.test(head), response: undefined }
    pending.push(one)
    one.response = this.#told(head)
    if (one.response !== undefined) {
      this.#flush(socket, pending)
      return
    }
    this.#stall()
    const finish = (): void => {
      one.response = this.#response
      this.#flush(socket, pending)
      this.#recorded.record(performance.now() - arrived)
    }
    if (this.#options.delayMs === 0) finish()
    else setTimeout(finish, this.#delay())
  }

  /** What it tells of itself; undefined: it was asked for something else. */
  #told(head: string): string | undefined {
    if (head.startsWith('GET /-/accepted ')) return responseOf(String(this.#accepted))
    if (!head.startsWith('GET /-/delays ')) return undefined
    const recorded = this.#recorded.quantiles()
    this.#recorded = new TimeHistogram()
    return responseOf(JSON.stringify(recorded))
  }

  /** Answers leave in the order of their requests (RFC 9112 §9.3.2), whichever is ready first. */
  #flush(socket: Socket, pending: Pending[]): void {
    for (let first = pending[0]; first?.response !== undefined; first = pending[0]) {
      pending.shift()
      if (first.isLast) socket.end(first.response, 'latin1')
      else if (socket.writable) socket.write(first.response, 'latin1')
    }
  }

  #stall(): void {
    if (this.#stalled || performance.now() - this.#started < this.#options.stallAfterMs) return
    this.#stalled = true
    const end = performance.now() + this.#options.stallMs
    while (performance.now() < end);
  }
}

function responseOf(body: string): string {
  const type = 'Content-Type: application/octet-stream'
  return `HTTP/1.1 200 OK\r\n${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

if (import.meta.main) new DelayServer(JSON.parse(process.argv[2] ?? '{}') as DelayOptions).listen()
