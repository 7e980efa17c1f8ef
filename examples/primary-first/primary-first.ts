import { type Backend, definePlugin, z } from 'millrace'

/** The first backend of the list that can be used; the others are its spares. */
export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'primary-first',
  options: z.strictObject({}),
  create() {
    let backends: readonly Backend[] = []
    return {
      update(view) {
        backends = view.available
      },
      pick: (request) => backends.find((backend) => !request.excluded(backend)),
    }
  },
})
