/** Throws in the hook that it is told, or in all; `second`: in `update`, but not where it is tried before it serves. */
import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'broken-algorithm',
  options: z.strictObject({ hook: z.enum(['update', 'second', 'pick', 'settled']).optional() }),
  create(_, { hook }) {
    const failing = (name: string) => (): undefined => {
      if (hook === undefined || hook === name) throw new Error('broken on purpose')
    }
    let updates = 0
    const update = () => (++updates > 1 && hook === 'second' ? failing('second')() : failing('update')())
    return { update, pick: failing('pick'), settled: failing('settled') }
  },
})
