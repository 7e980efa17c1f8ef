/** Tests of kind `filter`: it is led through exchanges as the core does it, in the core's order, and they end in every way. */
import { strict as assert } from 'node:assert'
import type { ExchangeOutcome, Filter } from '../../core/contracts/index.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import { SampleExchange, type SampleRequest, SampleResponse } from './filter-exchange.ts'
import type { Stage } from './stage.ts'
import { settled } from './time.ts'
import { numbered } from './view.ts'

export interface FilterFixture {
  /** Requests that the filter makes a difference for. Default: a plain GET and a POST. */
  readonly requests: readonly SampleRequest[]
}

type Scene = Stage<'filter'>

/** How an exchange goes. */
interface Plan {
  readonly attempts?: number
  /** Where the client goes away. */
  readonly abort?:
    | 'during onRequest'
    | 'after onRequest'
    | 'after onAttempt'
    | 'during onResponse'
    | 'after onResponse'
  readonly outcome?: ExchangeOutcome
  /** Nobody answered: an error of the core's own. */
  readonly status?: number
}

const defaults: readonly SampleRequest[] = [
  {},
  { method: 'POST', body: 'a=1', headers: { 'content-type': 'text/plain', cookie: 'a=b; c=d' } },
]

const requestsOf = (stage: Scene): readonly SampleRequest[] => stage.fixture.requests ?? defaults

const isPromise = (value: unknown): value is PromiseLike<void> =>
  typeof (value as { then?: unknown } | undefined)?.then === 'function'

function assertNothing(hook: string, value: unknown): void {
  assert(
    value === undefined,
    `${hook} returned a value, which fails the exchange; to answer, call exchange.respond({ status, headers, body })`,
  )
}

/** One exchange from its start to `onDone`. */
class Run {
  readonly #filter: Filter
  readonly #exchange: SampleExchange
  readonly #plan: Plan
  /** A hook that was left running when the exchange ended. */
  late: PromiseLike<unknown> = Promise.resolve()
  /** What was called, in order. */
  readonly calls: string[] = []

  constructor(filter: Filter, exchange: SampleExchange, plan: Plan) {
    this.#filter = filter
    this.#exchange = exchange
    this.#plan = plan
  }

  async toEnd(): Promise<void> {
    const exchange = this.#exchange
    if (!(await this.#call('onRequest'))) return this.#done('client-abort')
    if (this.#plan.abort === 'after onRequest') return this.#done('client-abort')
    if (exchange.answer)
      exchange.response = new SampleResponse(exchange.answer.status, exchange.answer.headers ?? {}, true)
    else if (!this.#try()) return this.#done('client-abort')
    if (!(await this.#call('onResponse'))) return this.#done('client-abort')
    this.#done(this.#plan.abort ? 'client-abort' : (this.#plan.outcome ?? 'ok'))
  }

  #try(): boolean {
    const exchange = this.#exchange
    for (let attempt = 0; attempt < (this.#plan.attempts ?? 1); attempt++) {
      exchange.backend = backends[attempt]
      this.calls.push('onAttempt')
      const result: unknown = this.#filter.onAttempt?.(exchange)
      assert(!isPromise(result), 'onAttempt returned a promise; it is synchronous')
      assertNothing('onAttempt', result)
      exchange.attempts = attempt + 1
    }
    if (this.#plan.abort === 'after onAttempt') return false
    const { status = 200 } = this.#plan
    if (this.#plan.outcome === 'error') exchange.errorCode = 'MR_NO_BACKEND'
    const own = this.#plan.outcome === 'error'
    exchange.response = new SampleResponse(status, { 'content-type': 'text/plain' }, own)
    return true
  }

  /** False: the client went away while the hook was waiting. */
  async #call(hook: 'onRequest' | 'onResponse'): Promise<boolean> {
    const exchange = this.#exchange
    this.calls.push(hook)
    exchange.inRequest = hook === 'onRequest'
    const pending = this.#filter[hook]?.(exchange)
    if (this.#plan.abort === `during ${hook}`) {
      this.late = Promise.resolve(pending)
      return false
    }
    assertNothing(hook, isPromise(pending) ? await pending : pending)
    exchange.inRequest = false
    return true
  }

  #done(outcome: ExchangeOutcome): void {
    const exchange = this.#exchange
    exchange.inRequest = false
    exchange.outcome = outcome
    if (outcome !== 'ok') exchange.abort.abort()
    this.calls.push('onDone')
    const result: unknown = this.#filter.onDone?.(exchange)
    assert(!isPromise(result), 'onDone returned a promise; it is synchronous')
  }
}

/** Of the service that all exchanges go to. */
const backends = numbered(3)

const exchangeOf = (request: SampleRequest): SampleExchange => new SampleExchange('id-1', request, backends)

async function through(filter: Filter, request: SampleRequest, plan: Plan = {}): Promise<SampleExchange> {
  const exchange = exchangeOf(request)
  const run = new Run(filter, exchange, plan)
  await run.toEnd()
  return exchange
}

export const exerciseFilter: Exercise<'filter'> = {
  async use(stage, { instance }) {
    for (const request of requestsOf(stage)) await through(instance, request)
  },
}

const ends: readonly [how: string, plan: Plan][] = [
  ['an answer', {}],
  ['an answer after two retries', { attempts: 3 }],
  ['an answer without a body', { status: 304 }],
  ['a failure of the backend', { status: 502, outcome: 'error' }],
  ['a backend that breaks off', { outcome: 'backend-abort' }],
  ['a deadline', { outcome: 'timeout' }],
  ['a tunnel', { status: 200, outcome: 'tunnel' }],
  ['a client that goes away before a backend was asked', { abort: 'after onRequest' }],
  ['a client that goes away before an answer', { abort: 'after onAttempt', attempts: 2 }],
  ['a client that goes away during the answer', { abort: 'after onResponse' }],
]

/** What an exchange leaves: what is sent to the backend and to the client. */
const effects = ({ request, response, answer, service }: SampleExchange): unknown => ({
  target: request.target,
  fields: request.headers.entries(),
  service,
  answer: answer && { ...answer, body: String(answer.body ?? '') },
  response: response && [response.status, response.headers.entries()],
})

export const filterCases: readonly Case<'filter'>[] = [
  ...ends.map(
    ([how, plan]): Case<'filter'> => ({
      name: `takes an exchange that ends with ${how}`,
      async run(stage) {
        const { instance } = await stage.make()
        for (const request of requestsOf(stage)) await through(instance, request, plan)
      },
    }),
  ),
  {
    name: 'a hook that waits settles after its exchange has ended, and nothing throws beside it',
    async run(stage) {
      const { instance } = await stage.make()
      for (const abort of ['during onRequest', 'during onResponse'] as const) {
        for (const request of requestsOf(stage)) {
          const exchange = exchangeOf(request)
          const run = new Run(instance, exchange, { abort })
          await run.toEnd()
          // What it rejects with by then, the core drops: `respond` is refused, and nobody waits for the answer.
          let over = false
          const late = Promise.resolve(run.late).then(
            () => {
              over = true
            },
            () => {
              over = true
            },
          )
          // Its deadline is 5 s; a filter that heeds the signal needs none.
          for (let waited = 0; waited < 100 && !over; waited++) await stage.time.advanceAsync(50)
          await late
        }
      }
    },
  },
  {
    name: 'may be called for what it never saw: onDone without an answer, onResponse to an answer of the core',
    async run(stage) {
      const { instance } = await stage.make()
      for (const request of requestsOf(stage)) {
        const refused = exchangeOf(request)
        refused.outcome = 'error'
        refused.errorCode = 'MR_NO_BACKEND'
        refused.inRequest = true
        await instance.onRequest?.(refused)
        refused.inRequest = false
        refused.response = new SampleResponse(503, {}, true)
        await instance.onResponse?.(refused)
        instance.onDone?.(refused)
      }
    },
  },
  {
    name: 'keeps exchanges apart that run at the same time',
    async run(stage) {
      const requests = requestsOf(stage)
      const { instance: alone } = await stage.make()
      const { instance: mixed } = await stage.make()
      const expected: unknown[] = []
      for (const [index, request] of requests.entries()) {
        const exchange = new SampleExchange(`same-${index}`, request, backends)
        await new Run(alone, exchange, {}).toEnd()
        expected.push(effects(exchange))
      }
      const exchanges = requests.map(
        (request, index) => new SampleExchange(`same-${index}`, request, backends),
      )
      for (const exchange of exchanges) {
        exchange.inRequest = true
        await mixed.onRequest?.(exchange)
        exchange.inRequest = false
      }
      for (const exchange of exchanges) {
        if (exchange.answer)
          exchange.response = new SampleResponse(exchange.answer.status, exchange.answer.headers ?? {}, true)
        else {
          exchange.backend = backends[0]
          mixed.onAttempt?.(exchange)
          exchange.attempts = 1
          exchange.response = new SampleResponse(200, { 'content-type': 'text/plain' }, false)
        }
      }
      for (const exchange of [...exchanges].reverse()) {
        await mixed.onResponse?.(exchange)
        exchange.outcome = 'ok'
        mixed.onDone?.(exchange)
      }
      assert.deepEqual(exchanges.map(effects), expected)
    },
  },
  {
    name: 'lets go of an exchange after onDone',
    async run(stage) {
      const { instance } = await stage.make()
      for (const request of requestsOf(stage)) {
        const touched: PropertyKey[] = []
        let over = false
        const watched = new Proxy(exchangeOf(request), {
          get(target, key) {
            if (over) touched.push(key)
            const value: unknown = Reflect.get(target, key, target)
            return typeof value === 'function' ? value.bind(target) : value
          },
          set(target, key, value) {
            if (over) touched.push(key)
            return Reflect.set(target, key, value, target)
          },
        })
        await new Run(instance, watched, {}).toEnd()
        over = true
        await stage.time.advanceAsync(10_000)
        await settled()
        assert.deepEqual(
          touched,
          [],
          'used an exchange that had ended: its object belongs to another request by then',
        )
      }
    },
  },
]
