/** Passes both bodies through transforms that change nothing, every other piece later. */
import { type BodyTransform, definePlugin, z } from 'millrace'

function passing(): BodyTransform {
  let pieces = 0
  return {
    async transform(chunk, push) {
      if (pieces++ % 2 === 1) await new Promise((resolve) => setImmediate(resolve))
      push(chunk)
    },
  }
}

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'passing',
  options: z.strictObject({}),
  create: () => ({
    onRequest: ({ request }) => request.transformBody(passing()),
    onResponse: ({ response }) => response?.transformBody(passing()),
  }),
})
