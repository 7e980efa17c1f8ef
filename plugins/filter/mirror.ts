import { definePlugin, type Filter, ratio, serviceName, z } from 'millrace'

const options = z.strictObject({
  to: serviceName.describe('Service that gets the copies'),
  share: ratio.prefault('100%').describe('Share of the requests that is copied'),
})

/**
 * Sends a copy of requests to another service and ignores what becomes of it: no answer, error or delay of that service
 * reaches the client. The copy is the request as the filters before this one have left it, with its body as it came;
 * bodies longer than the service's `retries.bodyBuffer` are not copied. Filters of that service do not run for copies.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'mirror',
  description: 'Sends a copy of requests to another service and ignores its answers.',
  options,
  create(context, { to, share }) {
    return {
      // HOT
      onRequest(exchange) {
        if (share < 1 && context.random() >= share) return
        exchange.mirror(to)
      },
    } satisfies Filter
  },
})
