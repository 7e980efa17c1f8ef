/** The hooks of a filter on the proxy's own exchange, without sockets: each by itself, then all of one exchange. */
import type { Filter } from 'millrace'
import { systemClock } from '../../core/host/clock.ts'
import { within } from '../../core/host/instance-scope.ts'
import type { Exchange } from '../../core/proxy/exchange.ts'
import { phase } from '../../core/proxy/exchange-state.ts'
import { ExchangeFacade } from '../../core/proxy/filter-exchange.ts'
import { stage } from '../../core/proxy/filter-messages.ts'
import { numbered } from '../fixtures/view.ts'
import { inputs } from '../micro/case.ts'
import { Exchanges } from '../micro/exchanges.ts'
import type { HookCase, RunningHook } from './hook-cases.ts'

const hooks = ['onRequest', 'onAttempt', 'onResponse', 'onDone'] as const
type Hook = (typeof hooks)[number]

/** Name of the case that runs all hooks of one exchange. */
export const wholeExchange = 'all hooks of a request'

/** Does what the proxy does around a hook, and calls it. */
type Call = (index: number) => unknown

class FilterLoop {
  readonly #exchanges: Exchanges
  readonly #filter: Filter
  /** One for each input: `state` of a request is there in its later hooks. */
  readonly #facades: readonly ExchangeFacade[]
  readonly #backend = numbered(1)[0] as unknown as NonNullable<Exchange['backend']>

  /** @param lines that each request has besides a browser's, each with its CRLF */
  constructor(filter: Filter, lines: string) {
    this.#exchanges = new Exchanges('browser', lines)
    this.#filter = filter
    this.#facades = Array.from({ length: inputs }, () => new ExchangeFacade(this.#exchanges.exchange))
  }

  readonly calls: Readonly<Record<Hook, Call>> = {
    onRequest: (index) => {
      this.#request(index)
      return this.#filter.onRequest?.(this.#facades[index & (inputs - 1)])
    },
    onAttempt: (index) => {
      this.#request(index)
      this.#attempt()
      return this.#filter.onAttempt?.(this.#facades[index & (inputs - 1)])
    },
    onResponse: (index) => {
      this.#response(index)
      return this.#filter.onResponse?.(this.#facades[index & (inputs - 1)])
    },
    onDone: (index) => {
      this.#response(index).outcome = 'ok'
      return this.#filter.onDone?.(this.#facades[index & (inputs - 1)])
    },
  }

  /** All hooks of one exchange. */
  readonly whole: Call = (index) => {
    const filter = this.#filter
    const facade = this.#facades[index & (inputs - 1)]
    const exchange = this.#request(index)
    filter.onRequest?.(facade)
    this.#attempt()
    filter.onAttempt?.(facade)
    this.#answer(index)
    filter.onResponse?.(facade)
    exchange.outcome = 'ok'
    filter.onDone?.(facade)
    facade.end()
    return index
  }

  readonly wholeAsync = async (index: number): Promise<number> => {
    const filter = this.#filter
    const facade = this.#facades[index & (inputs - 1)]
    const exchange = this.#request(index)
    await filter.onRequest?.(facade)
    this.#attempt()
    filter.onAttempt?.(facade)
    this.#answer(index)
    await filter.onResponse?.(facade)
    exchange.outcome = 'ok'
    filter.onDone?.(facade)
    facade.end()
    return index
  }

  /** True when the filter answered the last request of this input itself. */
  answered(index: number): boolean {
    return this.#facades[index & (inputs - 1)].answered
  }

  #request(index: number): Exchange {
    const exchange = this.#exchanges.request(index)
    exchange.phase = phase.filtering
    this.#facades[index & (inputs - 1)].enter(0, stage.request)
    return exchange
  }

  #attempt(): void {
    const { exchange } = this.#exchanges
    exchange.backend = this.#backend
    exchange.attempts = 1
    exchange.phase = phase.sent
  }

  #response(index: number): Exchange {
    const exchange = this.#exchanges.response(index)
    this.#attempt()
    exchange.phase = phase.answering
    this.#facades[index & (inputs - 1)].enter(0, stage.response)
    return exchange
  }

  #answer(index: number): void {
    this.#exchanges.answer(index).phase = phase.answering
    this.#facades[index & (inputs - 1)].enter(0, stage.response)
  }
}

/** Hooks that do nothing, as many as the filter has. */
function emptyFilter(filter: Filter): Filter {
  return Object.fromEntries(hooks.filter((hook) => filter[hook]).map((hook) => [hook, () => undefined]))
}

const isThenable = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

/**
 * @param probe tells which hooks there are
 * @param lines fields of the requests
 */
export function filterCases(probe: Filter, make: () => Promise<Filter>, lines: string): HookCase[] {
  const own = hooks.filter((hook) => probe[hook] !== undefined)
  const empty = new FilterLoop(emptyFilter(probe), lines)
  const loopOf = async (): Promise<FilterLoop> => new FilterLoop(await make(), lines)
  const isPromised = (hook: Hook): boolean => returnsPromise(new FilterLoop(probe, lines), hook)
  const single = own.map((hook): HookCase => {
    const isAsync = isPromised(hook)
    return {
      name: isAsync ? `${hook}, awaited` : hook,
      hot: true,
      calls: isAsync ? 1 : undefined,
      empty: isAsync ? undefined : { run: empty.calls[hook] },
      prepare: async () => prepared(await loopOf(), hook),
    }
  })
  if (own.length < 2) return single
  const isAsync = own.some(isPromised)
  const whole: HookCase = {
    name: wholeExchange,
    hot: true,
    calls: isAsync ? 1 : undefined,
    empty: isAsync ? undefined : { run: empty.whole },
    prepare: async () => {
      const loop = await loopOf()
      if (isAsync) await inTime(() => loop.wholeAsync(0))
      return { run: isAsync ? loop.wholeAsync : loop.whole }
    },
  }
  return [...single, whole]
}

/** A throw is found again, and told, when the hook is measured. */
function returnsPromise(loop: FilterLoop, hook: Hook): boolean {
  try {
    if (hook !== 'onRequest') loop.calls.onRequest(0)
    const result = loop.calls[hook](0)
    if (!isThenable(result)) return false
    ;(result as PromiseLike<unknown>).then(undefined, () => {})
    return true
  } catch {
    return false
  }
}

/** What the proxy waits for a hook, unless told otherwise (`deadline`). */
const deadlineMs = 5000

/** @throws LateError where it does not settle */
const inTime = (call: () => unknown): Promise<unknown> => within(systemClock, deadlineMs, call)

/** Every input once, its request first, so that what the filter keeps from hook to hook is there. */
async function prepared(loop: FilterLoop, hook: Hook): Promise<RunningHook> {
  const call = loop.calls[hook]
  for (let index = 0; index < inputs; index++) {
    if (hook !== 'onRequest') await inTime(() => loop.calls.onRequest(index))
    await inTime(() => call(index))
  }
  const answers =
    "it answers the request itself, so that no backend is asked (--header 'name: value' sends what it asks for)"
  return { run: call, note: () => (hook === 'onRequest' && loop.answered(0) ? answers : undefined) }
}
