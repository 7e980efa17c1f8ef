/** The store's own notification (`watch`): nothing else has to run, and nobody has to announce. Not every store has one. */
import { definePlugin, MillraceError, z } from 'millrace'

export default definePlugin({
  api: 1,
  kind: 'config-sync',
  name: 'native',
  description: "The store's own watch.",
  options: z.strictObject({}),
  create(context) {
    const { store, documents } = context
    if (!store?.watch)
      throw new MillraceError(
        'MR_PLUGIN_CREATE',
        'this store cannot be watched; use another sync, such as `poll`',
      )
    const watching = store.watch(documents, {
      hint: (document, revision) => context.hint(document, revision),
      bus: (state) => context.bus(state),
    })
    context.defer(() => watching.close())
    return {}
  },
})
