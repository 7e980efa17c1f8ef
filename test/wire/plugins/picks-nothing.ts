import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'picks-nothing',
  options: z.strictObject({}),
  create: () => ({ update() {}, pick: () => undefined }),
})
