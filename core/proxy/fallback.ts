/** What a service gives while its breakers let nothing through: another service, or an answer that stands in the config. */
import type { BreakerFallback } from '../config/snapshot.ts'
import { sendOwn } from './answer.ts'
import { startAttempt } from './attempt.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import { FieldList } from './field-list.ts'
import { runRequestFilters } from './filter-chain.ts'

/** No try has been made yet, and none can be. False: there is no other way. */
export function fallBack(exchange: Exchange): boolean {
  const fallback = exchange.service!.config.breaker?.fallback
  if (
    fallback === undefined ||
    // A copy: nobody misses it, and the other service's filters could make a copy of it in turn, without end.
    exchange.route === undefined ||
    exchange.fellBack ||
    exchange.attempts > 0 ||
    exchange.lastFailure !== undefined
  )
    return false
  exchange.fellBack = true
  exchange.plane.metrics.fallback(exchange.service!.index)
  if ('service' in fallback) return toService(exchange, fallback.service)
  sendStatic(exchange, fallback)
  return true
}

/** The other service's own filters come behind those that were entered. */
function toService(exchange: Exchange, name: string): boolean {
  const service = exchange.runtime.services.get(name)
  if (service === undefined) return false
  const former = exchange.service!
  if (exchange.keepsActive) {
    exchange.keepsActive = false
    former.activeRow[former.index]--
  }
  // It may have waited for a place; filters begin anew.
  exchange.phase = phase.filtering
  exchange.changeService(service)
  if (service.filters.length === 0) {
    startAttempt(exchange)
    return true
  }
  const { entered } = exchange
  exchange.chain = [...(exchange.chain ?? []).slice(0, entered), ...service.filters]
  runRequestFilters(exchange, entered)
  return true
}

function sendStatic(exchange: Exchange, answer: Extract<BreakerFallback, { status: number }>): void {
  const fields = new FieldList(undefined, undefined)
  for (const [name, value] of answer.headers) fields.put(name, value)
  sendOwn(exchange, { status: answer.status, fields, body: Buffer.from(answer.body) })
}
