/** Thinks for 30 ms about every answer before it lets it pass, as a filter does that asks another server. */
import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'slow-answer',
  options: z.strictObject({}),
  create: ({ clock }) => ({
    onResponse: (exchange) =>
      new Promise<void>((resolve) => {
        clock.after(30, () => {
          exchange.response?.headers.set('X-Thought', 'yes')
          resolve()
        })
      }),
  }),
})
