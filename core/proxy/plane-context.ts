/** What everything on the way of a request shares on one data thread. */
import type { Clock, Log } from '../contracts/plugin.ts'
import type { ErrorCode } from '../host/errors.ts'
import { MessageHead } from '../http1/head.ts'
import { HeadScanner } from '../http1/scan.ts'
import type { AccessRecord } from '../observe/access-record.ts'
import { errorIndex, type ThreadMetrics } from '../observe/thread-metrics.ts'
import type { PluginFault } from '../threads/fault-report.ts'
import type { PlaneDeps } from '../threads/plane.ts'
import { ReadBuffers } from '../upstream/buffers.ts'
import { DeadlineWheel } from './deadlines.ts'
import { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import { Ids } from './ids.ts'
import { LoopTurn } from './loop-turn.ts'
import type { Runtime } from './runtime.ts'
import { TransformPipe } from './transform.ts'

const maxPooled = 1024

export class PlaneContext {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: ThreadMetrics
  readonly wheel: DeadlineWheel
  /** Reads heads; what is read into the shared buffer lies in its memory. */
  readonly heads = new HeadScanner(ReadBuffers.sharedBytes)
  readonly buffers = new ReadBuffers(this.heads.shared)
  readonly ids: Ids
  readonly random: () => number
  readonly errorIndex: Readonly<Record<ErrorCode, number>> = errorIndex
  readonly accessLog: (record: AccessRecord) => void
  readonly pluginFault: (fault: PluginFault) => void
  /** The committed snapshot; exchanges take hold of it when they begin. */
  runtime!: Runtime
  activeExchanges = 0
  /** Answers say `Connection: close`. */
  draining = false
  readonly now: () => number
  readonly wall: () => number
  readonly turn: LoopTurn
  readonly #heads: MessageHead[] = []
  readonly #exchanges: Exchange[] = []
  #fieldLimit = 100

  constructor(deps: PlaneDeps) {
    this.clock = deps.clock
    this.log = deps.log
    this.metrics = deps.metrics
    this.random = () => deps.random()
    this.ids = new Ids(this.random)
    this.accessLog = (record) => deps.accessLog(record)
    this.pluginFault = (fault) => deps.pluginFault(fault)
    const { clock } = deps
    this.now = () => clock.now()
    this.turn = new LoopTurn(this.now)
    this.wall = () => deps.clock.wall()
    this.wheel = new DeadlineWheel(deps.clock, (ms) => deps.metrics.stall(ms))
  }

  /** Heads of the old size are dropped as they come back. */
  setFieldLimit(fields: number): void {
    if (fields !== this.#fieldLimit) this.#heads.length = 0
    this.#fieldLimit = fields
  }

  // HOT
  takeHead(): MessageHead {
    const head = this.#heads.pop()
    if (head === undefined) return new MessageHead(this.#fieldLimit)
    head.reset()
    return head
  }

  // HOT
  giveHead(head: MessageHead): void {
    // Not kept: there may be a body in it.
    head.text = ''
    if (this.#heads.length < maxPooled && head.ids.length === this.#fieldLimit) this.#heads.push(head)
  }

  // HOT
  newExchange(): Exchange {
    return this.#exchanges.pop() ?? new Exchange(this)
  }

  // HOT
  /** Takes back an exchange that has finished; one that a plugin's promise still holds is left to it. */
  giveExchange(exchange: Exchange): void {
    exchange.reset()
    if (exchange.leaked || this.#exchanges.length >= maxPooled) {
      this.wheel.remove(exchange)
      return
    }
    this.#exchanges.push(exchange)
  }

  /** Transforms of a request's body, between the client and the backend. */
  requestPipe(exchange: Exchange): TransformPipe {
    const live = this.#liveness(exchange)
    return new TransformPipe({
      data: (chunk) => !live() || exchange.bodyOut(chunk, 0, chunk.length),
      end: () => live() && exchange.bodyEnd(),
      fail: (error, owner) => live() && exchange.bodyFault(error, owner),
      more: () => live() && !exchange.requestDone && exchange.client.resumeBody(),
    })
  }

  /** Transforms of a response's body, between the backend and the client. */
  responsePipe(exchange: Exchange): TransformPipe {
    const live = this.#liveness(exchange)
    return new TransformPipe({
      data: (chunk) => !live() || exchange.answerOut(chunk),
      end: () => live() && exchange.answerEnd(),
      fail: (error, owner) => live() && exchange.bodyFault(error, owner),
      more: () => {
        if (!live() || exchange.holdsAnswer) return
        // Nobody else sends small pieces on that came out late.
        exchange.client.flush()
        exchange.upstream?.resume()
      },
    })
  }

  #liveness(exchange: Exchange): () => boolean {
    const { serial } = exchange
    return () => exchange.serial === serial && exchange.phase !== phase.idle
  }
}
