import { definePlugin, type Filter, z } from 'millrace'
import { fieldName } from '../lib/fields.ts'

/**
 * Sends the request id to the backend, and to the client if asked. Which id it is, and that one is accepted from
 * trusted proxies only, is the core's doing; a header that the client sent is replaced.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'request-id',
  description: 'Sends the request id to the backend, and to the client if asked.',
  options: z.strictObject({
    header: fieldName.default('x-request-id').describe('The header that holds the id'),
    response: z.boolean().default(false).describe('Also on the response'),
  }),
  create(_context, { header, response }) {
    const filter: Filter = {
      onRequest(exchange) {
        exchange.request.headers.set(header, exchange.id)
      },
    }
    if (response) filter.onResponse = (exchange) => exchange.response?.headers.set(header, exchange.id)
    return filter
  },
})
