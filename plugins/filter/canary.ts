import { definePlugin, type Filter, type FilterExchange, ratio, serviceName, z } from 'millrace'
import { KeyHash, requestKey } from '../lib/request-key.ts'

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

const options = z
  .strictObject({
    to: serviceName.describe('Service that gets the chosen requests'),
    share: ratio.prefault('0%').describe('Share of the requests that goes there'),
    key: requestKey
      .optional()
      .describe(
        'What keeps together: client-ip, header:NAME or route; absent, each request is drawn by itself',
      ),
    header: z
      .strictObject({
        name: z.string().regex(token, 'a header name must be a token: letters, digits and -'),
        always: z.array(z.string()).min(1).optional().describe('Values that choose the canary; absent: any'),
        never: z.array(z.string()).default([]).describe('Values that keep a request where it is'),
      })
      .optional()
      .describe(
        'Requests with this header go there, or, where it has a value that stands under never, do not',
      ),
  })
  .refine(({ share, header }) => share > 0 || header !== undefined, {
    message: 'a canary needs a share above 0% or a header',
    path: ['share'],
  })
type Options = z.output<typeof options>

/** The same in every thread and load balancer, so that a key is on the same side everywhere. */
const seed = 0x63616e61

/** True: there; false: not there; undefined: the share decides. */
function byHeader({ header }: Options, exchange: FilterExchange): boolean | undefined {
  const value = header && exchange.request.headers.get(header.name)
  if (value === undefined) return undefined
  if (header!.never.includes(value)) return false
  return header!.always === undefined || header!.always.includes(value) ? true : undefined
}

/**
 * Sends requests to another service: those with a header, and a share of all others. With `key` a client, or whoever a header
 * names, stays on its side, also while the share grows. The other service's own filters run after those of the current
 * chain; the former service's filters that were not entered yet do not.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'canary',
  description: 'Sends requests with a header, or a share of them, to another service.',
  options,
  create(context, parsed) {
    const hash = new KeyHash()
    const { to, share, key } = parsed
    return {
      // HOT
      onRequest(exchange) {
        const chosen = byHeader(parsed, exchange)
        if (chosen === false) return
        const draw = key === undefined ? context.random() : (hash.of(key, exchange, seed) >>> 0) / 2 ** 32
        if (chosen || draw < share) exchange.sendTo(to)
      },
    } satisfies Filter
  },
})
