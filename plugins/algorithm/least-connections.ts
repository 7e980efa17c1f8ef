import { type Algorithm, type Backend, type BackendView, definePlugin, type PickRequest, z } from 'millrace'
import { RandomSource } from '../lib/random-source.ts'
import { WeightedDraw } from '../lib/weighted-draw.ts'

/** Up to here every backend is looked at; beyond, so many are drawn by weight, and the best of the last pick again. */
const exactLimit = 16
const sampleSize = 3

/**
 * The backend with the fewest exchanges in flight per weight. Backends that tie, as all do while idle, take turns by
 * smooth weighted round robin among themselves, so shares follow the weights at any load.
 *
 * Beyond {@link exactLimit} backends a pick is O(1): a few draws by weight, and the backend that was the best of the last
 * pick. That memory is worth as much as many more draws (Mitzenmacher, Prabhakar and Shah, "Load balancing with memory",
 * FOCS 2002), which would cost more than all else in a pick.
 */
class LeastConnections implements Algorithm {
  private readonly random: () => number
  private readonly draw: WeightedDraw
  private view: BackendView | undefined
  private backends: readonly Backend[] = []
  private weight = new Float64Array(0)
  /** How far each is behind its share of the ties. */
  private credit = new Float64Array(0)
  /** The best of the last sample, -1 for none: it counts only where it has fewer than all that are drawn. */
  private remembered = -1
  /** Indices that tie in the pick under way. */
  private readonly ties = new Int32Array(exactLimit)

  constructor(random: () => number) {
    this.random = random
    this.draw = new WeightedDraw(new RandomSource(random))
  }

  update(view: BackendView): void {
    const credits = new Map(this.backends.map((backend, index) => [backend, this.credit[index]]))
    this.view = view
    this.backends = view.available
    this.weight = Float64Array.from(view.available, (backend) => view.weight(backend))
    this.credit = Float64Array.from(
      view.available,
      (backend, index) => credits.get(backend) ?? this.random() * this.weight[index],
    )
    this.remembered = -1
    if (this.backends.length > exactLimit) this.draw.update(view)
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    const view = this.view
    if (view === undefined) return undefined
    return this.backends.length > exactLimit ? this.sample(view, request) : this.scan(view, request)
  }

  private scan(view: BackendView, request: PickRequest): Backend | undefined {
    const { backends, weight } = this
    const ties = this.ties
    let least = Number.POSITIVE_INFINITY
    let count = 0
    for (let index = 0; index < backends.length; index++) {
      const load = view.inFlight(backends[index]) / weight[index]
      if (load > least || request.excluded(backends[index])) continue
      if (load < least) {
        least = load
        count = 0
      }
      ties[count++] = index
    }
    if (count < 2) return count === 0 ? undefined : backends[ties[0]]
    return backends[this.takeTurn(count)]
  }

  /** Smooth weighted round robin among the first `count` of `ties`: all gain their weight, the winner pays for all. */
  private takeTurn(count: number): number {
    const { weight, credit } = this
    const ties = this.ties
    let winner = ties[0]
    let total = 0
    for (let i = 0; i < count; i++) {
      const index = ties[i]
      credit[index] += weight[index]
      total += weight[index]
      if (credit[index] > credit[winner]) winner = index
    }
    credit[winner] -= total
    return winner
  }

  private sample(view: BackendView, request: PickRequest): Backend | undefined {
    const { draw, weight, backends } = this
    let chosen = draw.pick(request)
    if (chosen < 0) return undefined
    let least = view.inFlight(backends[chosen]) / weight[chosen]
    for (let left = sampleSize - 1; left > 0; left--) {
      const index = draw.index()
      const load = view.inFlight(backends[index]) / weight[index]
      if (load >= least || request.excluded(backends[index])) continue
      least = load
      chosen = index
    }
    const kept = this.remembered
    if (kept >= 0) {
      const load = view.inFlight(backends[kept]) / weight[kept]
      if (load < least && !request.excluded(backends[kept])) chosen = kept
    }
    this.remembered = chosen
    return backends[chosen]
  }
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'least-connections',
  description: 'Fewest exchanges in flight per weight; exact up to 16 backends, sampled beyond.',
  options: z.strictObject({}),
  create: (context) => new LeastConnections(() => context.random()),
})
