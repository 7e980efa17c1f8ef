import { definePlugin, z } from 'millrace'

const fail = (): never => {
  throw new Error('broken on purpose')
}

export default definePlugin({
  api: 1,
  kind: 'circuit-breaker',
  name: 'broken-breaker',
  options: z.strictObject({ hook: z.enum(['for', 'tryAcquire', 'settle']) }),
  create: (_, { hook }) => ({
    for() {
      if (hook === 'for') fail()
      return {
        state: 'closed',
        tryAcquire: () => (hook === 'tryAcquire' ? fail() : 1),
        settle: () => (hook === 'settle' ? fail() : undefined),
      }
    },
  }),
})
