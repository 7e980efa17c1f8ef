/** Edits a field of every message, so that heads are written from the edited list instead of the received bytes. */
import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'editing',
  options: z.strictObject({}),
  create: () => ({
    onRequest: ({ request }) => request.headers.set('X-Edited', 'request'),
    onResponse: ({ response }) => response?.headers.set('X-Edited', 'response'),
  }),
})
