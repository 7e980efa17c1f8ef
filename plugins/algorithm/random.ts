import { definePlugin, z } from 'millrace'
import { RandomSource } from '../lib/random-source.ts'
import { WeightedDraw } from '../lib/weighted-draw.ts'

/** Random choice, weighted; O(1). It needs no state that threads or processes would have to agree on. */
export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'random',
  description: 'Weighted random choice.',
  options: z.strictObject({}),
  create(context) {
    const draw = new WeightedDraw(new RandomSource(() => context.random()))
    return {
      update(view) {
        draw.update(view)
      },
      pick(request) {
        const index = draw.pick(request)
        return index < 0 ? undefined : draw.backends[index]
      },
    }
  },
})
