/** The one end of every exchange. */
import { outcomeIndex } from '../observe/thread-metrics.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'

// HOT
/** @param now when its last byte was written, or when it was given up */
export function finishExchange(exchange: Exchange, now: number): void {
  const { plane, service, runtime, client } = exchange
  const outcome = exchange.outcome!
  const index = service === undefined ? -1 : service.index
  plane.metrics.requestDone(index, exchange.status, now - exchange.startMs, outcomeIndex[outcome])
  if (exchange.firstByteMs > 0 && outcome !== 'tunnel') {
    // First response byte read → first client write, onto what the request's way has cost.
    const written = exchange.clientWriteMs > 0 ? exchange.clientWriteMs : now
    exchange.overheadMs += written - exchange.firstByteMs
    plane.metrics.overhead(index, exchange.overheadMs)
  }
  if (exchange.phase === phase.tunnel) plane.metrics.tunnel(-1)
  plane.metrics.clientBytes(exchange.bytesIn, exchange.bytesOut)
  if (exchange.keepsActive) {
    exchange.keepsActive = false
    service!.activeRow[service!.index]--
    if (exchange.isRetrying) service!.retryingRow[service!.index]--
  }
  if (exchange.waitList) exchange.leaveQueue()
  if (runtime.accessLog) plane.accessLog(record(exchange, now))
  plane.wheel.clear(exchange)
  const upstream = exchange.upstream
  // An upstream that is still attached was not done with its answer.
  if (upstream !== undefined) upstream.abort(exchange)
  exchange.phase = phase.idle
  plane.activeExchanges--
  // What a late hook can still read is not used again.
  if (!exchange.leaked) {
    plane.giveHead(exchange.head)
    if (exchange.responseHead) plane.giveHead(exchange.responseHead)
  }
  if (--runtime.exchanges === 0 && runtime.retired) runtime.release()
  client.finished()
}

function record(exchange: Exchange, now: number) {
  const { plane, client } = exchange
  return {
    time: plane.wall() - (plane.now() - exchange.startMs),
    id: exchange.id,
    listener: client.listener,
    route: exchange.route?.name ?? '',
    service: exchange.service?.name ?? '',
    backend: exchange.backend?.url ?? '',
    attempts: exchange.attempts,
    method: exchange.method,
    host: exchange.host,
    target: exchange.target,
    status: exchange.status,
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    durationMs: now - exchange.startMs,
    upstreamMs: exchange.firstByteMs > 0 ? exchange.firstByteMs - exchange.sentMs : Number.NaN,
    overheadMs: exchange.firstByteMs > 0 ? exchange.overheadMs : Number.NaN,
    outcome: exchange.outcome!,
    errorCode: exchange.errorCode ?? '',
    clientAddress: client.address,
  }
}
