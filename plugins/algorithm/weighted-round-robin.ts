import { type Algorithm, type Backend, type BackendView, definePlugin, type PickRequest, z } from 'millrace'
import { Turns } from '../lib/turns.ts'

/** Each share is exact to one turn; see {@link Turns}. O(log n) a pick. */
class WeightedRoundRobin implements Algorithm {
  private readonly turns: Turns

  constructor(random: () => number) {
    this.turns = new Turns(random)
  }

  update(view: BackendView): void {
    this.turns.update(view.available, (backend) => view.weight(backend))
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    return this.turns.pick(request)
  }
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'weighted-round-robin',
  description: 'Each backend in turn, heavier ones more often, smoothly interleaved.',
  options: z.strictObject({}),
  create: (context) => new WeightedRoundRobin(() => context.random()),
})
