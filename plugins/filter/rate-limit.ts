import {
  definePlugin,
  type Filter,
  type FilterExchange,
  type OwnResponse,
  rate,
  type ThreadContext,
  z,
} from 'millrace'
import { RateTable, rateScale, rateTableBytes } from '../lib/rate-table.ts'
import { KeyHash, requestKey } from '../lib/request-key.ts'

const most = 1_000_000
const rateHint = 'expected a rate from 1/h to 1000000/s'

const options = z.strictObject({
  rate: rate
    .refine((perSecond) => perSecond * 3600 >= 0.999 && perSecond <= most, rateHint)
    .describe('Requests that a key may make in the long run, such as 100/s, 600/m or 1000/h'),
  burst: z
    .int()
    .min(1)
    .max(most)
    .optional()
    .describe("Requests that it may make at once; a second's worth by default, 1 at least"),
  key: requestKey
    .prefault('client-ip')
    .describe('Whose requests are counted together: client-ip (IPv6: its /64), header:NAME, or route'),
  keys: z
    .int()
    .min(64)
    .max(1_048_576)
    .default(16_384)
    .describe('Keys that are told apart at one time, rounded up to a power of two; 8 bytes of memory each'),
  headers: z
    .boolean()
    .default(false)
    .describe('RateLimit fields on every answer, not only on those with 429'),
})
type Options = z.output<typeof options>

const tagSeed = 0x2545f491
const syncMs = 10_000

/** A limit with its counts; made anew where the memory is another one. */
class Limit {
  readonly table: RateTable
  /** Names the memory. */
  readonly name: string
  policy = ''

  constructor(context: ThreadContext, parsed: Options) {
    const { scale, keys } = measure(parsed)
    this.name = nameOf(parsed)
    const memory = context.shared(this.name, rateTableBytes(keys))
    this.table = new RateTable(memory, keys, scale, context.clock, () => context.random())
    this.#describe(parsed)
  }

  adopt(parsed: Options): void {
    this.table.adopt(measure(parsed).scale)
    this.#describe(parsed)
  }

  #describe(parsed: Options): void {
    const { burst, windowMs } = measure(parsed)
    this.policy = `"default";q=${burst};w=${seconds(windowMs)}`
  }
}

const seconds = (ms: number): number => Math.max(1, Math.ceil(Math.round(ms) / 1000))

function measure({ rate: perSecond, burst = Math.max(1, Math.ceil(perSecond)), keys }: Options) {
  return {
    burst,
    windowMs: (burst / perSecond) * 1000,
    scale: rateScale(perSecond, burst),
    keys: 2 ** Math.ceil(Math.log2(keys)),
  }
}

/** Counts go on over a change of rate or burst, unless it changes the unit of time that they are kept in. */
function nameOf(parsed: Options): string {
  const { scale, keys } = measure(parsed)
  return `buckets/${keys}/${scale.scale}`
}

/** draft-ietf-httpapi-ratelimit-headers, from revision 08 on: `r` requests left, all of them back in `t` seconds. */
function fields({ table, policy }: Limit): [name: string, value: string][] {
  return [
    ['RateLimit-Policy', policy],
    ['RateLimit', `"default";r=${table.left};t=${Math.ceil(Math.round(table.fillMs(table.left)) / 1000)}`],
  ]
}

function refusal(limit: Limit): OwnResponse {
  return {
    status: 429,
    headers: {
      ...Object.fromEntries(fields(limit)),
      'Retry-After': String(seconds(limit.table.waitMs)),
      'Cache-Control': 'no-store',
    },
    body: 'Too many requests.\n',
  }
}

function create(context: ThreadContext, parsed: Options): Filter {
  const hash = new KeyHash()
  let limit = new Limit(context, parsed)
  let settings = parsed
  const limited = context.metrics.counter('rate_limited_total', 'Requests over their rate')
  const sweep = (): void => {
    if (context.thread === 0) limit.table.sweep()
  }
  let timer = context.clock.every(limit.table.sweepMs, sweep)
  // A wall clock that was set is another one for a thread that begins later: they must agree again soon.
  context.clock.every(syncMs, () => limit.table.sync())
  // HOT
  const onRequest = (exchange: FilterExchange): void => {
    const { table } = limit
    const { seed } = table
    const { key } = settings
    if (table.take(hash.of(key, exchange, seed), hash.of(key, exchange, seed ^ tagSeed))) {
      if (settings.headers) exchange.state = fields(limit)
      return
    }
    limited.add()
    exchange.respond(refusal(limit))
  }
  return {
    onRequest,
    onResponse(exchange) {
      const told = exchange.state as ReturnType<typeof fields> | undefined
      if (told) for (const [name, value] of told) exchange.response?.headers.set(name, value)
    },
    reconfigure(next: Options) {
      settings = next
      if (nameOf(next) === limit.name) limit.adopt(next)
      else limit = new Limit(context, next)
      timer.cancel()
      timer = context.clock.every(limit.table.sweepMs, sweep)
    },
  }
}

/**
 * Limits the rate of requests by a token bucket per key: `burst` at once, `rate` in the long run, over all data threads of
 * the process. What is over it is answered with 429, Retry-After and the RateLimit fields, and takes no token.
 *
 * Counts stand in a fixed table of `keys` buckets; one that is full again needs no place in it. With more keys than that at
 * one time, the fullest buckets are forgotten, so that some clients may do more than they should, none less.
 * Each load balancer counts for itself. Counts go on over reloads.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'rate-limit',
  description: 'Limits the rate of requests per client, header or route.',
  options,
  create,
})
