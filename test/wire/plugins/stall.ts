/** Blocks the event loop of the data thread on demand: `/stall?800` for 800 ms. */
import { definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'stall',
  options: z.strictObject({}),
  create() {
    return {
      onRequest({ request }) {
        if (request.path !== '/stall') return
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(request.query))
      },
    }
  },
})
