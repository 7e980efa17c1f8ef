/** Tries of an exchange: pick, permit, connection, and what a failure allows (http-intermediary 13; RFC 9110 §9.2.2). */
import type { Outcome } from '../contracts/circuit-breaker.ts'
import { MillraceError } from '../host/errors.ts'
import { sumColumn } from '../threads/table.ts'
import { endCollecting, releaseCollected } from './collect.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import { fallBack } from './fallback.ts'
import { runAttemptFilters } from './filter-chain.ts'
import type { Http1Upstream } from './http1-upstream.ts'
import type { AttemptFailure } from './stream.ts'

/** Retries allowed beside the budget's share, so that a quiet service can retry at all. */
const minimumRetries = 3

// HOT
/** Picks a backend and asks its pool for a connection; or queues, or gives up. */
export function startAttempt(exchange: Exchange): void {
  const service = exchange.service!
  if (!exchange.keepsActive) {
    exchange.keepsActive = true
    service.activeRow[service.index]++
  }
  const backend = service.pick(exchange)
  if (backend === undefined) {
    noBackend(exchange)
    return
  }
  exchange.backend = backend
  exchange.attemptOpen = true
  service.inFlightRow[backend.slot]++
  if (exchange.chain !== undefined && !runAttemptFilters(exchange)) return
  const connection = backend.pool.take(backend.pipelining > 1 && exchange.mayShare)
  if (connection !== undefined) grantConnection(exchange, connection)
  else {
    exchange.phase = phase.connecting
    exchange.waitStartMs = exchange.plane.now()
    // The algorithm was told of full pools; between the pick and here nothing can have changed.
    if (!backend.pool.wait(exchange)) {
      settleAttempt(exchange, 'cancelled')
      enqueue(exchange)
    }
  }
}

function noBackend(exchange: Exchange): void {
  const service = exchange.service!
  if (service.sawFull) enqueue(exchange)
  else if (fallBack(exchange)) return
  else if (exchange.lastFailure) exchange.fail(exchange.lastFailure.code, exchange.lastFailure.reason)
  else exchange.fail('MR_NO_BACKEND')
}

/** Waits for a place in any pool of the service. */
function enqueue(exchange: Exchange): void {
  const service = exchange.service!
  const { queue, queueTimeoutMs } = service.config.connections
  if (sumColumn(service.table.queued, service.index) >= queue) {
    exchange.fail('MR_QUEUE_FULL')
    return
  }
  exchange.phase = phase.queued
  if (exchange.waitStartMs === 0) exchange.waitStartMs = exchange.plane.now()
  const { requestMs } = service.config.timeouts
  // The request's own deadline may come first: there is one wheel entry for both.
  const left =
    requestMs > 0 ? Math.max(1, requestMs - (exchange.plane.now() - exchange.startMs)) : queueTimeoutMs
  exchange.queueEndsRequest = left < queueTimeoutMs
  exchange.plane.wheel.set(exchange, Math.min(left, queueTimeoutMs))
  service.enqueue(exchange)
}

// HOT
/** A connection is there: the request goes out. */
export function grantConnection(exchange: Exchange, connection: Http1Upstream): void {
  const plane = exchange.plane
  if (exchange.waitStartMs > 0) {
    exchange.waitedMs += plane.now() - exchange.waitStartMs
    exchange.waitStartMs = 0
  }
  exchange.phase = phase.sent
  exchange.upstream = connection
  exchange.attempts++
  connection.sendHead(exchange)
  if (exchange.requestLength !== 0) sendBuffered(exchange)
  else connection.sendEnd(exchange, undefined)
  if (exchange.upstream !== connection) return
  connection.flushSoon()
}

/** What has been received of the body so far, then the rest as it comes. */
function sendBuffered(exchange: Exchange): void {
  const upstream = exchange.upstream!
  // A filter that missed its deadline.
  if (exchange.collectors) endCollecting(exchange, 'MR_PLUGIN_TIMEOUT')
  let go = true
  for (const chunk of exchange.buffered) go = upstream.sendData(chunk, 0, chunk.length)
  if (exchange.requestDone) {
    upstream.sendEnd(exchange, exchange.requestTrailers)
    return
  }
  if (exchange.collected) go = releaseCollected(exchange)
  if (go && exchange.upstream === upstream) {
    exchange.client.resumeBody()
    // Pieces that came out of transforms between two tries have blocked the pipe.
    exchange.requestPipe?.resume()
  }
}

/** No connection could be opened for this exchange. */
export function refuseConnection(exchange: Exchange, error: unknown): void {
  const timeout = error instanceof MillraceError && error.code === 'MR_CONNECT_TIMEOUT'
  failAttempt(exchange, {
    code: timeout ? 'MR_CONNECT_TIMEOUT' : 'MR_CONNECT',
    reason: error instanceof Error ? error.message : String(error),
    unsent: true,
    stale: false,
    silent: true,
    bystander: false,
  })
}

// HOT
/** The try is over: in-flight count, breaker, algorithm, metrics. Exactly once per try. */
export function settleAttempt(exchange: Exchange, outcome: Outcome): void {
  if (!exchange.attemptOpen) return
  exchange.attemptOpen = false
  const backend = exchange.backend!
  const service = exchange.service!
  service.inFlightRow[backend.slot]--
  const ms = exchange.firstByteMs > 0 ? exchange.firstByteMs - exchange.sentMs : Number.NaN
  const result = outcome === 'success' && exchange.status >= 500 ? 'failure' : outcome
  if (exchange.token > 0) {
    const { token } = exchange
    exchange.token = 0
    try {
      exchange.gate!.settle(token, result, ms)
    } catch (error) {
      service.onFault(backend, 'settle', error)
    }
  }
  service.settled(backend, result, ms)
  exchange.plane.metrics.backendDone(backend.slot, result === 'success' ? 0 : result === 'failure' ? 1 : 2)
}

/** What may be done after a failure: send again for free, send again within the budget, or nothing. */
function mayRetry(exchange: Exchange, failure: AttemptFailure): boolean {
  const service = exchange.service!
  if (exchange.phase === phase.answering || exchange.client.gone) return false
  const tried = exchange.tried?.length ?? 0
  if (failure.unsent) {
    if (exchange.canResend && tried < service.backends.length + 1) return true
    // Several kept connections of one backend may end at once: behind them come the ways of any idempotent request.
    if (!failure.bystander) return false
  }
  if (!exchange.isIdempotent || !exchange.canResend) return false
  if ((failure.stale || failure.bystander) && !exchange.replayed) {
    exchange.replayed = true
    return true
  }
  if (!failure.silent || exchange.costly >= service.config.retries.attempts) return false
  return takeBudget(exchange)
}

function takeBudget(exchange: Exchange): boolean {
  const service = exchange.service!
  const active = sumColumn(service.table.active, service.index)
  const retrying = sumColumn(service.table.retrying, service.index)
  if (!exchange.isRetrying) {
    if (retrying >= Math.max(minimumRetries, active * service.config.retries.budget)) return false
    exchange.isRetrying = true
    service.retryingRow[service.index]++
  }
  exchange.costly++
  return true
}

/** A try has failed before its answer was forwarded, or broke off in it. */
export function failAttempt(exchange: Exchange, failure: AttemptFailure): void {
  if (exchange.phase === phase.idle) return
  const answering = exchange.phase === phase.answering
  settleAttempt(exchange, failure.bystander ? 'cancelled' : 'failure')
  exchange.upstream = undefined
  exchange.lastFailure = failure
  if (exchange.phase === phase.tunnel) {
    exchange.finish('tunnel')
    return
  }
  if (answering || !mayRetry(exchange, failure)) {
    exchange.fail(failure.code, failure.reason)
    return
  }
  retryAttempt(exchange)
}

/** The answer's status is one that `retries.on` names. True: it is being tried again, the answer is dropped. */
export function retryStatus(exchange: Exchange, status: number): boolean {
  const retries = exchange.service!.config.retries
  if (!retries.on.includes(status) || exchange.costly >= retries.attempts) return false
  if (!exchange.isIdempotent || !exchange.canResend || exchange.client.gone || !takeBudget(exchange))
    return false
  exchange.status = status
  settleAttempt(exchange, 'failure')
  exchange.upstream?.abort(exchange)
  exchange.upstream = undefined
  exchange.status = 0
  exchange.lastFailure = undefined
  retryAttempt(exchange)
  return true
}

function retryAttempt(exchange: Exchange): void {
  exchange.plane.metrics.retry(exchange.service!.index)
  exchange.tried ??= []
  exchange.tried.push(exchange.backend!)
  exchange.firstByteMs = 0
  exchange.client.pauseBody()
  startAttempt(exchange)
}
