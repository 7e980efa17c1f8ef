/** Throws in the hook that it is told, or in all. */
import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'broken-algorithm',
  options: z.strictObject({ hook: z.enum(['update', 'pick', 'settled']).optional() }),
  create(_, { hook }) {
    const failing = (name: string) => (): undefined => {
      if (hook === undefined || hook === name) throw new Error('broken on purpose')
    }
    return { update: failing('update'), pick: failing('pick'), settled: failing('settled') }
  },
})
