import { definePlugin, z } from 'millrace'

const fail = (): never => {
  throw new Error('broken on purpose')
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'broken-algorithm',
  options: z.strictObject({}),
  create: () => ({ update: fail, pick: fail, settled: fail }),
})
