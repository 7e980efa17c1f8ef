import { type BackendView, definePlugin, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'last-one',
  options: z.strictObject({}),
  create() {
    let view: BackendView | undefined
    return {
      update(next) {
        view = next
      },
      pick: (request) => view?.available.findLast((backend) => !request.excluded(backend)),
    }
  },
})
