/** Reads the whole body of a request, up to `limit`, and appends what it saw as a field. */
import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'reading',
  options: z.strictObject({ limit: z.number() }),
  create: (_context, { limit }) => ({
    async onRequest({ request }) {
      const body = Buffer.from(await request.readBody(limit))
      request.headers.append('X-Read', `${body.length} ${body.toString('latin1', 0, 20)}`)
    },
  }),
})
