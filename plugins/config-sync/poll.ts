/**
 * No bus at all: the engine polls the heads of the store, every `poll`. It needs nothing but the store, costs one small
 * read per poll and node, and a change takes half a poll on average.
 */
import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'config-sync',
  name: 'poll',
  description: 'Asks the store again and again; every store has it.',
  options: z.strictObject({}),
  create: () => ({}),
})
