/**
 * Open-loop load: requests start at times that were fixed beforehand, at an absolute rate, and are timed from then. A server
 * that stalls is charged for everybody who came meanwhile; a closed loop would wait with it and not see them
 * (Tene, "How NOT to measure latency"; autocannon's correction for it takes 1 ms for the expected interval at any rate).
 */
import { performance } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { type Dispatcher, Pool } from 'undici'
import { type Quantiles, TimeHistogram } from '../stats/quantiles.ts'
import { seededRandom } from '../stats/random.ts'
import { type ArrivalKind, gaps } from './arrivals.ts'

export interface OpenLoopOptions {
  readonly url: string
  readonly ratePerSecond: number
  /** Measured; the warm-up before it is sent at the same rate and not counted. */
  readonly seconds: number
  readonly warmupSeconds: number
  readonly arrivals: ArrivalKind
  readonly seed: number
  /** Open at most; requests beyond wait, and their wait counts. */
  readonly connections: number
  /** How long answers are waited for after the last start. */
  readonly patienceMs: number
  /** Wait for the next start at work, on a core of its own; else in naps, which leave the core to others. */
  readonly spin: boolean
}

export interface OpenLoopResult {
  readonly options: OpenLoopOptions
  /** In warm-up and measured time. */
  readonly sent: number
  /** Intended starts in the measured time. */
  readonly planned: number
  readonly completed: number
  readonly failed: number
  /** By what went wrong. */
  readonly failures: Readonly<Record<string, number>>
  /** From the intended start to the last byte. */
  readonly latency: Quantiles
  readonly curve: readonly (readonly [number, number])[]
  /** From when the request was handed to a connection. */
  readonly service: Quantiles
  /** From the intended start to when the driver sent it off: its own lateness, part of the latency. */
  readonly lag: Quantiles
  /** Share of one core that the driver used, without its waiting. */
  readonly driverCpu: number
}

const napMs = 0.05
/** Milliseconds that a connection may lie idle: longer than any block, so that none is opened within it. */
const keepAliveTimeout = 300_000

/** Resolves when every request has ended or patience has; rejects for options that are wrong, never for what a server does. */
export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  return new OpenLoop(options).run()
}

class OpenLoop {
  readonly #options: OpenLoopOptions
  readonly #pool: Pool
  readonly #request: Dispatcher.DispatchOptions
  readonly #gap: () => number
  readonly #latency = new TimeHistogram()
  readonly #service = new TimeHistogram()
  readonly #lag = new TimeHistogram()
  readonly #failures = new Map<string, number>()
  readonly #napCell = new Int32Array(new SharedArrayBuffer(4))
  /** Milliseconds of the clock: starts at or after it are measured. */
  #measureFrom = 0
  #end = 0
  #next = 0
  #sent = 0
  #planned = 0
  #inFlight = 0
  /** Sent or ended since the last look: waiting is not work. */
  #events = 0
  #waitedMs = 0

  constructor(options: OpenLoopOptions) {
    this.#options = options
    const { origin, pathname, search } = new URL(options.url)
    this.#pool = new Pool(origin, { connections: options.connections, pipelining: 1, keepAliveTimeout })
    this.#request = { method: 'GET', path: `${pathname}${search}` }
    this.#gap = gaps(options.arrivals, options.ratePerSecond, seededRandom(options.seed))
  }

  async run(): Promise<OpenLoopResult> {
    const { warmupSeconds, seconds } = this.#options
    const start = performance.now()
    this.#measureFrom = start + warmupSeconds * 1000
    this.#end = this.#measureFrom + seconds * 1000
    this.#next = start + this.#gap()
    if (warmupSeconds > 0) this.#connect(start)
    let cpuBefore = process.cpuUsage()
    let measuring = false
    let last = start
    for (;;) {
      const now = performance.now()
      if (!measuring && now >= this.#measureFrom) {
        measuring = true
        cpuBefore = process.cpuUsage()
        this.#waitedMs = 0
      }
      this.#sendDue(now)
      if (this.#over(now)) break
      if (this.#events === 0) this.#waitedMs += now - last
      this.#events = 0
      last = now
      this.#nap(now)
      await turn()
    }
    const cpu = process.cpuUsage(cpuBefore)
    const wallMs = performance.now() - this.#measureFrom
    await this.#pool.destroy()
    const spentMs = (cpu.user + cpu.system) / 1000 - (this.#options.spin ? this.#waitedMs : 0)
    return this.#result(spentMs / wallMs)
  }

  /**
   * A request on each connection, so that all are open, through a proxy too, before anything counts: else the first stall of
   * whatever kind opens them, and a millisecond of it becomes ten.
   */
  #connect(now: number): void {
    for (let count = 0; count < this.#options.connections; count++) this.#send(now, now)
  }

  #sendDue(now: number): void {
    while (this.#next <= now && this.#next < this.#end) {
      this.#send(this.#next, now)
      this.#next += this.#gap()
    }
  }

  #over(now: number): boolean {
    if (this.#next < this.#end) return false
    return this.#inFlight === 0 || now > this.#end + this.#options.patienceMs
  }

  /** A short sleep of the whole thread: timers of the platform are a millisecond coarse. Answers wait for it at most so long. */
  #nap(now: number): void {
    if (this.#options.spin) return
    const left = this.#next < this.#end ? this.#next - now : napMs
    if (left > 0) Atomics.wait(this.#napCell, 0, 0, Math.min(left, napMs))
  }

  #send(intended: number, now: number): void {
    this.#events++
    this.#inFlight++
    this.#sent++
    const measured = intended >= this.#measureFrom
    if (measured) {
      this.#planned++
      this.#lag.record(now - intended)
    }
    this.#pool.dispatch(
      this.#request,
      new Exchange((failure, startedAt) => {
        this.#events++
        this.#inFlight--
        if (!measured) return
        if (failure !== undefined) {
          this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1)
          return
        }
        const end = performance.now()
        this.#latency.record(end - intended)
        this.#service.record(end - startedAt)
      }),
    )
  }

  #result(driverCpu: number): OpenLoopResult {
    const completed = this.#latency.count
    const failed = [...this.#failures.values()].reduce((sum, count) => sum + count, 0)
    const unanswered = this.#planned - completed - failed
    if (unanswered > 0) this.#failures.set('no answer in time', unanswered)
    return {
      options: this.#options,
      sent: this.#sent,
      planned: this.#planned,
      completed,
      failed: failed + Math.max(0, unanswered),
      failures: Object.fromEntries(this.#failures),
      latency: this.#latency.quantiles(),
      curve: this.#latency.curve(),
      service: this.#service.quantiles(),
      lag: this.#lag.quantiles(),
      driverCpu,
    }
  }
}

/** One request; tells once how it ended. */
class Exchange implements Dispatcher.DispatchHandler {
  #ended: ((failure: string | undefined, startedAt: number) => void) | undefined
  #startedAt = 0
  #status = 0

  constructor(ended: (failure: string | undefined, startedAt: number) => void) {
    this.#ended = ended
  }

  #end(failure: string | undefined): void {
    this.#ended?.(failure, this.#startedAt)
    this.#ended = undefined
  }

  onRequestStart(): void {
    this.#startedAt = performance.now()
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    this.#end(this.#status >= 200 && this.#status < 400 ? undefined : `status ${this.#status}`)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const { code } = error as NodeJS.ErrnoException
    this.#end(code ?? error.message)
  }
}
