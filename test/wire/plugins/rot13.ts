/** Turns the letters of both bodies by 13 places while they stream, asynchronously every other piece, and adds an end mark. */
import { type BodyTransform, definePlugin, z } from 'millrace'

function turn(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => {
    const lower = byte | 32
    return lower >= 97 && lower <= 122 ? ((lower - 97 + 13) % 26) + 97 - (lower - byte) : byte
  })
}

function transform(): BodyTransform {
  let pieces = 0
  return {
    async transform(chunk, push) {
      if (pieces++ % 2 === 1) await new Promise((resolve) => setImmediate(resolve))
      push(turn(chunk))
    },
    flush(push) {
      push(Buffer.from('!'))
    },
  }
}

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'rot13',
  options: z.strictObject({}),
  create: () => ({
    onRequest: ({ request }) => request.transformBody(transform()),
    onResponse: ({ response }) => response?.transformBody(transform()),
  }),
})
