/**
 * Runs filters: a plain loop while hooks are synchronous, one continuation where a hook returns a promise. Answers pass
 * in reverse order, and only those filters whose `onRequest` was entered.
 */
import type { FilterUse } from '../config/snapshot.ts'
import type { Filter } from '../contracts/filter.ts'
import { startAttempt } from './attempt.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'
import { ExchangeFacade } from './filter-exchange.ts'
import { stage } from './filter-messages.ts'
import { faultCode, faulted, type Hook, missedDeadline, returnedValue } from './hook-faults.ts'

/** One filter of a chain. */
export interface FilterStep {
  readonly filter: Filter
  readonly use: FilterUse
}

/** What an exchange of one route and service passes, in order. Never empty: no filters is `undefined`. */
export type FilterChain = readonly FilterStep[]

function facadeOf(exchange: Exchange): ExchangeFacade {
  exchange.facade ??= new ExchangeFacade(exchange)
  return exchange.facade
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}

// HOT
/** Enters filters from `index` on; ends in an attempt or in an own answer. */
export function runRequestFilters(exchange: Exchange, index: number): void {
  const facade = facadeOf(exchange)
  for (let i = index; ; i++) {
    // The chain may grow while it runs: `sendTo` adds the other service's filters.
    const chain = exchange.chain!
    if (i >= chain.length) break
    const step = chain[i]
    if (step.filter.onRequest === undefined) {
      exchange.entered = i + 1
      continue
    }
    facade.enter(i, stage.request)
    exchange.entered = i + 1
    let pending: unknown
    try {
      pending = step.filter.onRequest(facade)
    } catch (error) {
      if (faulted(exchange, step, 'onRequest', error)) continue
      exchange.fail(faultCode(error))
      return
    }
    if (pending !== undefined) {
      if (isThenable(pending)) {
        void resumeAfter(exchange, step, 'onRequest', pending, () => afterRequestHook(exchange, i))
        return
      }
      const fault = returnedValue(pending)
      if (faulted(exchange, step, 'onRequest', fault)) continue
      exchange.fail(fault.code)
      return
    }
    if (facade.answered) {
      exchange.respond(facade.takeAnswer())
      return
    }
  }
  facade.leave()
  startAttempt(exchange)
}

function afterRequestHook(exchange: Exchange, index: number): void {
  const facade = facadeOf(exchange)
  if (facade.answered) exchange.respond(facade.takeAnswer())
  else runRequestFilters(exchange, index + 1)
}

/**
 * Waits for a hook's promise, at most its deadline, then goes on – unless the exchange has ended meanwhile. The exchange
 * object is then left to the promise and not used again.
 */
async function resumeAfter(
  exchange: Exchange,
  step: FilterStep,
  hook: Hook,
  pending: PromiseLike<unknown>,
  goOn: () => void,
): Promise<void> {
  const { plane, serial } = exchange
  const before = plane.now()
  const wasLeaked = exchange.leaked
  exchange.leaked = true
  let over = false
  let timer: { cancel(): void } | undefined
  const late = new Promise<never>((_, reject) => {
    timer = plane.clock.after(step.use.deadlineMs, () => reject(missedDeadline(step.use.deadlineMs)))
  })
  let failure: { error: unknown } | undefined
  try {
    const value = await Promise.race([Promise.resolve(pending).finally(() => (over = true)), late])
    if (value !== undefined) failure = { error: returnedValue(value) }
  } catch (error) {
    failure = { error }
  } finally {
    timer?.cancel()
  }
  if (exchange.serial !== serial || exchange.phase === phase.idle) return
  // A hook that missed its deadline still runs: it must never see another request in this object.
  exchange.leaked = wasLeaked || !over
  if (!over) exchange.facade = exchange.facade?.handOn()
  exchange.holdsAnswer = false
  exchange.waitedMs += plane.now() - before
  if (failure && !faulted(exchange, step, hook, failure.error)) {
    if (hook === 'onResponse') failResponse(exchange, failure.error)
    else exchange.fail(faultCode(failure.error))
  } else goOn()
}

/** Before a try. False: a filter failed and the exchange has been answered. */
export function runAttemptFilters(exchange: Exchange): boolean {
  const facade = facadeOf(exchange)
  const chain = exchange.chain!
  for (let i = 0; i < chain.length; i++) {
    const step = chain[i]
    if (step.filter.onAttempt === undefined) continue
    facade.enter(i, stage.other)
    let value: unknown
    try {
      value = step.filter.onAttempt(facade)
    } catch (error) {
      if (faulted(exchange, step, 'onAttempt', error)) continue
      exchange.fail(faultCode(error))
      return false
    }
    if (value === undefined || isThenable(value)) continue
    const fault = returnedValue(value)
    if (faulted(exchange, step, 'onAttempt', fault)) continue
    exchange.fail(fault.code)
    return false
  }
  return true
}

// HOT
/** Passes a response head from filter `from` down to 0. False: a promise is pending, or the exchange was answered
 * otherwise; `done` is called when all are through. */
export function runResponseFilters(
  exchange: Exchange,
  from: number,
  done: (exchange: Exchange) => void,
): boolean {
  const facade = facadeOf(exchange)
  const chain = exchange.chain!
  for (let i = from; i >= 0; i--) {
    const step = chain[i]
    if (step.filter.onResponse === undefined) continue
    facade.enter(i, stage.response)
    let pending: unknown
    try {
      pending = step.filter.onResponse(facade)
    } catch (error) {
      if (faulted(exchange, step, 'onResponse', error)) continue
      failResponse(exchange, error)
      return false
    }
    if (pending !== undefined) {
      if (isThenable(pending)) {
        exchange.holdsAnswer = true
        exchange.upstream?.pause()
        void resumeAfter(exchange, step, 'onResponse', pending, () => {
          if (!runResponseFilters(exchange, i - 1, done)) return
          done(exchange)
          exchange.upstream?.resume()
        })
        return false
      }
      const fault = returnedValue(pending)
      if (faulted(exchange, step, 'onResponse', fault)) continue
      failResponse(exchange, fault)
      return false
    }
  }
  facade.leave()
  return true
}

/** A filter spoilt an answer that has not begun for the client: it gets ours instead. */
function failResponse(exchange: Exchange, error: unknown): void {
  exchange.ownFiltered = true
  exchange.phase = phase.sent
  exchange.fail(faultCode(error))
}

/** The end, in reverse; nothing here can fail the exchange any more. */
export function runDone(exchange: Exchange): void {
  const facade = facadeOf(exchange)
  const chain = exchange.chain!
  for (let i = exchange.entered - 1; i >= 0; i--) {
    const step = chain[i]
    if (step.filter.onDone === undefined) continue
    facade.enter(i, stage.other)
    try {
      step.filter.onDone(facade)
    } catch (error) {
      faulted(exchange, step, 'onDone', error)
    }
  }
  facade.end()
  exchange.entered = 0
}
