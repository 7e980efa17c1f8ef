/**
 * A backend that takes its time and knows how much it took: `node delay-backend.ts OPTIONS-JSON`. `GET /-/delays` gives the
 * quantiles of what it recorded since the last call, from the request's arrival to the end of its answer; `GET /-/accepted`
 * the number of connections it has accepted, that one's too.
 */
import { createServer, type ServerResponse } from 'node:http'
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

function serve(options: DelayOptions): void {
  const body = Buffer.alloc(options.bodyBytes, 'a')
  const delay = delays(options)
  const started = performance.now()
  let recorded = new TimeHistogram()
  let stalled = options.stallMs === 0
  const answer = (response: ServerResponse, arrived: number): void => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length })
    response.end(body)
    recorded.record(performance.now() - arrived)
  }
  const stall = (): void => {
    if (stalled || performance.now() - started < options.stallAfterMs) return
    stalled = true
    const end = performance.now() + options.stallMs
    while (performance.now() < end);
  }
  let accepted = 0
  const server = createServer({ keepAlive: true }, (request, response) => {
    if (request.url === '/-/accepted') {
      response.end(String(accepted))
      return
    }
    if (request.url === '/-/delays') {
      response.end(JSON.stringify(recorded.quantiles()))
      recorded = new TimeHistogram()
      return
    }
    const arrived = performance.now()
    stall()
    request.resume()
    if (options.delayMs === 0) answer(response, arrived)
    else setTimeout(answer, delay(), response, arrived)
  })
  server.on('connection', () => accepted++)
  server.keepAliveTimeout = 300_000
  server.maxRequestsPerSocket = 0
  server.listen({ port: options.port, host: '127.0.0.1', backlog: 4096 })
}

if (import.meta.main) serve(JSON.parse(process.argv[2] ?? '{}') as DelayOptions)
