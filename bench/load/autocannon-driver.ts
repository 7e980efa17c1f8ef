/**
 * autocannon as a closed loop, in a process of its own: `node autocannon-driver.ts PACKAGE-URL OPTIONS-JSON` prints what
 * wrk.lua prints. No rate is set, so that autocannon neither paces nor corrects anything (its correction takes 1 ms for the expected interval). Its
 * own percentiles are whole milliseconds, it counts no answer of a connection that is not kept (`reconnectRate` drops the event),
 * and a connection that the server ends is silently opened again: so requests are counted and timed here.
 */
import { performance } from 'node:perf_hooks'
import type { Client } from 'autocannon'
import { TimeHistogram } from '../stats/quantiles.ts'

export interface AutocannonOptions {
  readonly url: string
  readonly seconds: number
  readonly connections: number
  readonly upload: boolean
  readonly keepAlive: boolean
  readonly headers?: Readonly<Record<string, string>>
  /** Status that every answer is to have; any of 2xx and 3xx when left out. */
  readonly expect?: number
}

/** What the clients saw; an answer counts when its connection goes on to the next request. */
class Counts {
  readonly latency = new TimeHistogram()
  readonly #expect: number | undefined
  /** Answers that were not what was expected. */
  status = 0
  /** Ended by the server while a request waited. */
  lost = 0

  constructor(expect: number | undefined) {
    this.#expect = expect
  }

  readonly watch = (client: Client): void => {
    let connection: Client['conn'] | undefined
    let startedAt = 0
    let answered = false
    client.on('request', () => {
      const now = performance.now()
      if (answered) this.latency.record(now - startedAt)
      startedAt = now
      answered = false
      if (connection === client.conn) return
      connection = client.conn
      connection.once('end', () => {
        answered = false
        this.lost++
      })
    })
    client.on('headers', ({ statusCode }: { statusCode: number }) => {
      answered = true
      const isRight =
        this.#expect === undefined ? statusCode >= 200 && statusCode < 400 : statusCode === this.#expect
      if (!isRight) this.status++
    })
  }
}

async function run(packageUrl: string, options: AutocannonOptions): Promise<string> {
  const { default: autocannon } = (await import(packageUrl)) as typeof import('autocannon')
  const counts = new Counts(options.expect)
  const cpuBefore = process.cpuUsage()
  const result = await autocannon({
    url: options.url,
    connections: options.connections,
    duration: options.seconds,
    pipelining: 1,
    timeout: 10,
    method: options.upload ? 'POST' : 'GET',
    ...(options.upload ? { body: 'u'.repeat(2 ** 20) } : {}),
    headers: { ...options.headers, ...(options.keepAlive ? {} : { connection: 'close' }) },
    reconnectRate: options.keepAlive ? 0 : 1,
    sampleInt: 50,
    setupClient: counts.watch,
  })
  const milliseconds = result.finish.getTime() - result.start.getTime()
  const cpu = process.cpuUsage(cpuBefore)
  const { p50, p90, p99, max, count } = counts.latency.quantiles()
  const micros = (ms: number): number => Math.round(ms * 1000)
  return JSON.stringify({
    requests: count,
    microseconds: milliseconds * 1000,
    ...{ p50: micros(p50), p90: micros(p90), p99: micros(p99), max: micros(max) },
    ...{ connect: result.errors - result.timeouts, read: counts.lost, write: 0 },
    ...{ timeout: result.timeouts, status: counts.status },
    busy: (cpu.user + cpu.system) / 1000 / milliseconds,
  })
}

const [packageUrl, options] = process.argv.slice(2)
console.log(await run(packageUrl, JSON.parse(options) as AutocannonOptions))
