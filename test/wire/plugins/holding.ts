/** Lets a body go on when it has all of it. */
import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'holding',
  options: z.strictObject({}),
  create: () => ({
    onRequest({ request }) {
      const pieces: Uint8Array[] = []
      request.transformBody({
        transform(chunk) {
          pieces.push(chunk)
        },
        flush(push) {
          for (const piece of pieces) push(piece)
        },
      })
    },
  }),
})
