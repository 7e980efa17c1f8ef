import { type Algorithm, type Backend, type BackendView, definePlugin, type PickRequest, z } from 'millrace'
import { Turns } from '../lib/turns.ts'

/** Factors closer to one another than this are the same one: they come of divisions. */
const slight = 1e-9

/**
 * Each in turn, configured weights ignored. The cursor moves past the backend that was picked, not by one: so a backend that stays
 * excluded (an open breaker) does not hand all its turns to its neighbour. An excluded backend loses its turn; O(1) plus
 * one step for each of those in front.
 *
 * Where tiers, zones or slow start give some less than others, they have fewer turns, spread as those of weighted round robin
 * are: O(log n). (To be passed over now and then would not do: a cursor that has moved on gives its next turn to a neighbour.)
 */
class RoundRobin implements Algorithm {
  private readonly random: () => number
  private backends: readonly Backend[] = []
  /** Index of the one whose turn it is. */
  private next = 0
  private readonly turns: Turns
  private isUneven = false

  constructor(random: () => number) {
    this.random = random
    this.turns = new Turns(random)
  }

  update(view: BackendView): void {
    const factors = new Map(
      view.available.map((backend) => [backend, view.weight(backend) / backend.weight] as const),
    )
    const [first = 0] = factors.values()
    this.isUneven = [...factors.values()].some((factor) => Math.abs(factor - first) > slight * first)
    if (this.isUneven) this.turns.update(view.available, (backend) => factors.get(backend)!)
    this.backends = this.order(view.available)
    this.next = 0
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    if (this.isUneven) return this.turns.pick(request)
    const backends = this.backends
    const size = backends.length
    let index = this.next
    for (let left = size; left > 0; left--) {
      const backend = backends[index]
      index = index + 1 < size ? index + 1 : 0
      if (request.excluded(backend)) continue
      this.next = index
      return backend
    }
    return undefined
  }

  /** Those that stay keep their turn; new ones come last. The first order starts anywhere: threads must not march in step. */
  private order(available: readonly Backend[]): readonly Backend[] {
    const backends = this.backends
    const next = this.next
    if (backends.length === 0) {
      const start = Math.floor(this.random() * available.length)
      return [...available.slice(start), ...available.slice(0, start)]
    }
    const rest = new Set(available)
    const kept = [...backends.slice(next), ...backends.slice(0, next)].filter((backend) =>
      rest.delete(backend),
    )
    return [...kept, ...rest]
  }
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'round-robin',
  description: 'Each backend in turn, weights ignored.',
  options: z.strictObject({}),
  create: (context) => new RoundRobin(() => context.random()),
})
