import { type Algorithm, type Backend, type BackendView, definePlugin, type PickRequest, z } from 'millrace'
import { RandomSource } from '../lib/random-source.ts'
import { WeightedDraw } from '../lib/weighted-draw.ts'

/** How often a second, different backend is drawn before the first is taken alone: it then outweighs the rest anyway. */
const secondDraws = 8

/**
 * Draws two different backends by weight and takes the one with fewer exchanges in flight per weight; O(1) (Mitzenmacher,
 * "The Power of Two Choices in Randomized Load Balancing", 2001). Drawing by weight keeps shares right while idle, when
 * every pair ties; comparing by weight keeps them right under load.
 */
class PowerOfTwoChoices implements Algorithm {
  private readonly draw: WeightedDraw
  private view: BackendView | undefined

  constructor(random: () => number) {
    this.draw = new WeightedDraw(new RandomSource(random))
  }

  update(view: BackendView): void {
    this.view = view
    this.draw.update(view)
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    const draw = this.draw
    const view = this.view
    const first = draw.pick(request)
    if (first < 0 || view === undefined) return undefined
    const backends = draw.backends
    for (let tries = backends.length === 1 ? 0 : secondDraws; tries > 0; tries--) {
      const second = backends.length === 2 ? 1 - first : draw.index()
      if (second === first || request.excluded(backends[second])) continue
      const firstLoad = view.inFlight(backends[first]) * draw.weight(second)
      const secondLoad = view.inFlight(backends[second]) * draw.weight(first)
      return backends[secondLoad < firstLoad ? second : first]
    }
    return backends[first]
  }
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'power-of-two-choices',
  description: 'The less loaded of two backends drawn at random, weighted.',
  options: z.strictObject({}),
  create: (context) => new PowerOfTwoChoices(() => context.random()),
})
