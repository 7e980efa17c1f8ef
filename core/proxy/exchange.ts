/**
 * One request and its response, with its attempts: the centre of the proxy. It knows a client stream, an upstream stream,
 * a service and filters, and no protocol. Objects are reused; `finish` runs exactly once per exchange.
 *
 * Over 300 lines: it is the list of what both sides can tell an exchange, a few lines each.
 *
 * idle → filtering → (queued | connecting) → sent → answering → idle, or → tunnel → idle
 */

import type { FilterUse } from '../config/snapshot.ts'
import type { BodyTransform, ExchangeOutcome } from '../contracts/filter.ts'
import type { ErrorCode } from '../host/errors.ts'
import { field } from '../http1/fields.ts'
import type { MessageHead } from '../http1/head.ts'
import { nominatedNames } from '../http1/serialize.ts'
import type { Waiter, WaitList } from '../upstream/wait-list.ts'
import { answerError, forwardHead, type OwnAnswer, sendOwn } from './answer.ts'
import { failAttempt, grantConnection, refuseConnection, settleAttempt, startAttempt } from './attempt.ts'
import { endCollecting, holdCollected, refuseLong } from './collect.ts'
import { ExchangeState, phase } from './exchange-state.ts'
import { runDone, runRequestFilters } from './filter-chain.ts'
import { finishExchange } from './finish.ts'
import type { Http1Upstream } from './http1-upstream.ts'
import { wantedUpgrade } from './request-check.ts'
import type { ServiceRuntime } from './service-runtime.ts'
import { type AttemptFailure, type ClientStream, sent } from './stream.ts'

/** What a client stream found in a request line; read at once, not kept. */
export interface RequestLine {
  readonly method: string
  readonly target: string
  readonly host: string
  /** Of the body: -1 unknown (chunked), 0 none. */
  readonly length: number
}

export class Exchange extends ExchangeState implements Waiter<Http1Upstream> {
  waitNext: Waiter<Http1Upstream> | undefined = undefined
  waitPrevious: Waiter<Http1Upstream> | undefined = undefined
  waitList: WaitList<Http1Upstream> | undefined = undefined

  // HOT
  /** A request head has come; `head` is this exchange's until it finishes. */
  begin(client: ClientStream, head: MessageHead, request: RequestLine, now: number): void {
    this.#open(client, head, request, now)
    if (this.nextMaxForwards !== '') this.requestFields.put('Max-Forwards', this.nextMaxForwards)
    const route = this.runtime.match(this)
    if (route === undefined) {
      this.fail('MR_NO_ROUTE')
      return
    }
    this.route = route
    this.enter(route.single ?? route.choose(this.plane.random))
  }

  /** As `begin`, without going anywhere: it will be answered here. */
  openOnly(client: ClientStream, head: MessageHead, request: RequestLine, now: number): void {
    this.#open(client, head, request, now)
  }

  /** As `begin`, without routes and filters: a mirrored request. */
  beginAt(client: ClientStream, head: MessageHead, request: RequestLine, service: ServiceRuntime): void {
    this.#open(client, head, request, this.plane.now())
    this.changeService(service)
    startAttempt(this)
  }

  // HOT
  #open(client: ClientStream, head: MessageHead, request: RequestLine, now: number): void {
    const runtime = this.plane.runtime
    this.serial++
    this.phase = phase.filtering
    this.client = client
    this.runtime = runtime
    this.head = head
    this.method = request.method
    this.target = request.target
    this.host = request.host
    this.requestLength = request.length
    this.requestDone = request.length === 0
    this.startMs = now
    runtime.exchanges++
    this.plane.activeExchanges++
    if (head.has(field.connection)) this.nominated = nominatedNames(head)
  }

  // HOT
  /** Goes to a service: its filters first. */
  enter(service: ServiceRuntime): void {
    this.service = service
    const config = service.config
    if (config.timeouts.requestMs > 0) this.plane.wheel.set(this, config.timeouts.requestMs)
    this.keepsBody = this.requestLength !== 0 && config.retries.bodyBuffer > 0 && this.isIdempotent
    if (this.head.has(field.upgrade)) this.upgrade = wantedUpgrade(this.head, config.upgrades)
    const chain = this.route!.chain(service)
    if (chain === undefined) startAttempt(this)
    else {
      this.chain = chain
      runRequestFilters(this, 0)
    }
  }

  // From the client stream.

  // HOT
  /** Body bytes. False: pause until `resumeBody`. */
  clientData(bytes: Buffer, start: number, end: number): boolean {
    if (this.phase === phase.tunnel) return this.upstream!.sendData(bytes, start, end)
    this.bytesIn += end - start
    const limit = this.runtime.limits.body
    if (limit > 0 && this.bytesIn > limit) {
      this.fail('MR_BODY_TOO_LARGE')
      return false
    }
    if (this.mirrors) for (const mirror of this.mirrors) mirror.data(bytes.subarray(start, end))
    if (this.requestPipe) return this.requestPipe.write(bytes.subarray(start, end))
    return this.bodyOut(bytes, start, end)
  }

  // HOT
  /** Of body bytes nobody but the backend's connection keeps any, once there is one. (Mirrors copy.) */
  get bodyPasses(): boolean {
    return !this.keepsBody && this.requestPipe === undefined
  }

  /** Body bytes on their way to the backend, after transforms. */
  bodyOut(bytes: Buffer, start: number, end: number): boolean {
    const upstream = this.upstream
    if (upstream === undefined) {
      // Nobody takes it yet. It goes out with the next try, whose start it must not lack.
      this.bufferedBytes += end - start
      this.#keep(bytes.subarray(start, end))
      return this.collectors !== undefined && refuseLong(this)
    }
    if (this.keepsBody) {
      this.bufferedBytes += end - start
      if (this.bufferedBytes <= this.service!.config.retries.bodyBuffer)
        this.#keep(bytes.subarray(start, end))
      else {
        this.keepsBody = false
        this.buffered = []
      }
    }
    return upstream.sendData(bytes, start, end)
  }

  /** Many tiny pieces are joined: as objects each costs a hundred times its bytes. */
  #keep(piece: Buffer): void {
    this.buffered.push(piece)
    const { length } = this.buffered
    if (length >= 64 && this.bufferedBytes < length * 1024) this.buffered = [Buffer.concat(this.buffered)]
  }

  /** The request body is complete. */
  clientEnd(trailers: MessageHead | undefined): void {
    this.requestTrailers = trailers
    if (this.mirrors) for (const mirror of this.mirrors) mirror.end()
    if (this.requestPipe) this.requestPipe.end()
    else this.bodyEnd()
  }

  bodyEnd(): void {
    this.requestDone = true
    if (this.collectors) endCollecting(this, undefined)
    else this.upstream?.sendEnd(this, this.requestTrailers)
  }

  /** The client is gone: what is under way is given up. */
  clientAbort(): void {
    if (this.phase === phase.idle) return
    this.finish(this.phase === phase.tunnel ? 'tunnel' : 'client-abort')
  }

  /** Tunnel: the client sends nothing more. */
  clientTunnelEnd(): void {
    this.upstream?.endTunnel()
  }

  // HOT
  clientDrain(): void {
    // It may be room for the tail of an earlier answer: this one's upstream then waits for other things.
    if (this.holdsAnswer || (this.phase !== phase.answering && this.phase !== phase.tunnel)) return
    if (this.responsePipe) this.responsePipe.resume()
    else this.upstream?.resume()
  }

  // From the pool and the upstream stream.

  // HOT
  granted(connection: Http1Upstream): void {
    grantConnection(this, connection)
  }

  refused(error: unknown): void {
    refuseConnection(this, error)
  }

  /** Gives up waiting for a connection or for a place. */
  leaveQueue(): void {
    this.waitList?.remove(this)
    this.service!.left()
  }

  // HOT
  /** The head of this attempt has been written. */
  headSent(now: number): void {
    if (this.sentMs === 0) this.overheadMs = now - this.startMs - this.waitedMs
    this.sentMs = now
  }

  upstreamDrain(): void {
    if (this.requestPipe) this.requestPipe.resume()
    else if (!this.requestDone || this.phase === phase.tunnel) this.client.resumeBody()
  }

  upstreamInformational(head: MessageHead): void {
    if (this.client.minorVersion > 0) this.client.sendInformational(head)
  }

  // HOT
  /** The final head. `length` -1: unknown. False: hold the body back until `resume`. */
  upstreamHead(head: MessageHead, length: number, bodyless: boolean, now: number): boolean {
    return forwardHead(this, head, length, bodyless, now)
  }

  // HOT
  /** Returns `sent` bits. `text`: the same bytes as latin1, or empty. */
  upstreamData(bytes: Buffer, start: number, end: number, text: string): number {
    this.bytesOut += end - start
    if (this.responsePipe) {
      // The pipe keeps what it is given, and the buffer is the connection's.
      const go = this.responsePipe.write(Buffer.from(bytes.subarray(start, end)))
      return go ? sent.free : sent.wait
    }
    return this.client.sendData(bytes, start, end, text)
  }

  // HOT
  upstreamEnd(trailers: MessageHead | undefined, nominated: readonly string[] | undefined): void {
    if (this.responsePipe) {
      this.responseTrailers = trailers
      settleAttempt(this, 'success')
      this.upstream = undefined
      this.responsePipe.end()
      return
    }
    // A client that still sends its body may be held by it: such an answer leaves at once.
    if (this.requestDone && this.client.endSoon(trailers, nominated)) {
      settleAttempt(this, 'success')
      // It is in time, whatever else this turn of the loop decides.
      this.plane.wheel.clear(this)
      return
    }
    this.client.sendEnd(trailers, nominated)
    this.finish('ok')
  }

  // HOT
  /** The last bytes of the answer have been handed to the client's socket. */
  answerSent(now: number): void {
    this.finish('ok', now)
  }

  upstreamFailed(failure: AttemptFailure): void {
    failAttempt(this, failure)
  }

  /** A 101 of the backend that was asked for. */
  upstreamTunnel(head: MessageHead): void {
    this.responseHead = head
    this.status = 101
    this.firstByteMs = this.plane.now()
    settleAttempt(this, 'success')
    this.phase = phase.tunnel
    this.plane.wheel.clear(this)
    this.plane.metrics.tunnel(1)
    this.client.startTunnel(this)
  }

  /** Tunnel: the backend sends nothing more. */
  upstreamTunnelEnd(): void {
    this.client.endTunnel()
  }

  tunnelClosed(): void {
    this.finish('tunnel')
  }

  /** `timeouts.request` or `connections.queueTimeout` is over. */
  onDeadline(): void {
    if (this.phase === phase.queued && !this.queueEndsRequest) this.fail('MR_QUEUE_TIMEOUT')
    else if (this.phase !== phase.idle) this.fail('MR_DEADLINE')
  }

  /** Ends the exchange with an error answer of our own, or by cutting off an answer that has begun. */
  fail(code: ErrorCode, detail = ''): void {
    answerError(this, code, detail)
  }

  respond(answer: OwnAnswer): void {
    sendOwn(this, answer)
  }

  // HOT
  /** Exactly once: counters, histogram, settlements, filters, log; then the object is free again. */
  finish(outcome: ExchangeOutcome, now = this.plane.now()): void {
    if (this.phase === phase.idle) return
    this.outcome = outcome
    if (this.attemptOpen) settleAttempt(this, outcome === 'ok' ? 'success' : 'cancelled')
    if (this.entered > 0) runDone(this)
    if (this.collectors) endCollecting(this, 'MR_BAD_REQUEST')
    this.requestPipe?.stop()
    this.responsePipe?.stop()
    finishExchange(this, now)
  }

  /** Another service takes the exchange over, before the first try. */
  changeService(service: ServiceRuntime): void {
    this.service = service
    this.preferred = undefined
    const { requestMs } = service.config.timeouts
    this.plane.wheel.set(this, requestMs)
    // A body that a filter has read is held whole, whatever the method: it can go out again while nothing was sent.
    const held = this.keepsBody && this.bytesIn > 0 && (this.requestDone || this.collected !== undefined)
    this.keepsBody =
      held || (this.requestLength !== 0 && service.config.retries.bodyBuffer > 0 && this.isIdempotent)
    if (this.upgrade !== '') this.upgrade = wantedUpgrade(this.head, service.config.upgrades)
  }

  /** A transformed piece of the answer. False: wait for the client. */
  answerOut(chunk: Buffer): boolean {
    // The piece is the transform's: what was known of the memory around the backend's own does not hold for it.
    this.room = 0
    this.mustCopy = false
    // What comes out of a transform may come late: nobody else would send it on.
    return ((this.client.sendData(chunk, 0, chunk.length, '') | this.client.flush()) & sent.wait) === 0
  }

  /** The transformed answer is complete. */
  answerEnd(): void {
    this.client.sendEnd(this.responseTrailers, this.responseNominated)
    this.finish('ok')
  }

  /** A body transform threw; one that finds the body too long is no fault. */
  bodyFault(error: unknown, owner: FilterUse | undefined): void {
    if (error instanceof Error && (error as { code?: unknown }).code === 'MR_BODY_TOO_LARGE') {
      this.fail('MR_BODY_TOO_LARGE')
      return
    }
    const cause = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const plugin = owner?.use ?? 'unknown'
    this.plane.pluginFault({
      kind: 'filter',
      plugin,
      hook: 'transformBody',
      level: 'error',
      message: `filter ${plugin} failed in a body transform`,
      fields: { code: 'MR_PLUGIN_FAULT', plugin, path: owner?.path, id: this.id, cause },
    })
    this.fail('MR_PLUGIN_FAULT')
  }

  /** Adds a transform of the request's body. */
  transformRequest(transform: BodyTransform): void {
    if (this.requestLength === 0) return
    if (this.phase === phase.filtering && (this.requestDone || this.bufferedBytes > 0)) holdCollected(this)
    this.requestPipe ??= this.plane.requestPipe(this)
    this.requestPipe.add(transform, this.facade?.use)
    this.requestLength = -1
  }
}
