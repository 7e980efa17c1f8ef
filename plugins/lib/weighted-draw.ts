import type { Backend, BackendView, PickRequest } from 'millrace'
import { type RandomSource, span } from './random-source.ts'

/**
 * Draws available backends with chance proportional to their effective weight, in O(1): Walker's alias method as built
 * by Vose (IEEE Trans. Softw. Eng. 17(9), 1991).
 */
export class WeightedDraw {
  backends: readonly Backend[] = []
  private readonly source: RandomSource
  private weights = new Float64Array(0)
  /** Column i yields i up to here, an amount of i + the chance that it keeps i; beyond, `alias[i]`. */
  private keep = new Float64Array(0)
  private alias = new Int32Array(0)
  private equal = true

  constructor(source: RandomSource) {
    this.source = source
  }

  update(view: BackendView): void {
    const backends = view.available
    const weights = Float64Array.from(backends, (backend) => view.weight(backend))
    this.backends = backends
    this.weights = weights
    this.equal = weights.every((weight) => weight === weights[0])
    if (!this.equal) this.buildAlias(weights)
  }

  /** An index into `backends`; there must be one. Whether it is excluded is the caller's to see. */
  index(): number {
    // One random number is both: its whole part the column, its fraction the coin. Ten thousand backends leave 17 bits.
    const drawn = (this.source.next31() * this.backends.length) / span
    const column = Math.floor(drawn)
    return this.equal || drawn < this.keep[column] ? column : this.alias[column]
  }

  weight(index: number): number {
    return this.weights[index]
  }

  /** One draw among those that are not excluded, with the exact distribution over them. -1: all are excluded. */
  pick(request: PickRequest): number {
    const backends = this.backends
    if (backends.length === 0) return -1
    // Drawing again until one is allowed is the conditional distribution; eight misses mean that few are left.
    for (let tries = 0; tries < 8; tries++) {
      const index = this.index()
      if (!request.excluded(backends[index])) return index
    }
    return this.scan(request)
  }

  /** Weighted reservoir of size one: each allowed backend replaces the choice with chance weight / sum so far. */
  private scan(request: PickRequest): number {
    let chosen = -1
    let sum = 0
    for (let index = 0; index < this.backends.length; index++) {
      if (request.excluded(this.backends[index])) continue
      sum += this.weights[index]
      if (chosen < 0 || this.source.next31() * sum < this.weights[index] * span) chosen = index
    }
    return chosen
  }

  private buildAlias(weights: Float64Array): void {
    const size = weights.length
    const scale = size / weights.reduce((sum, weight) => sum + weight, 0)
    const chance = weights.map((weight) => weight * scale)
    const keep = Float64Array.from({ length: size }, (_, index) => index + 1)
    const alias = Int32Array.from({ length: size }, (_, index) => index)
    const small: number[] = []
    const large: number[] = []
    for (let index = 0; index < size; index++) (chance[index] < 1 ? small : large).push(index)
    while (small.length > 0 && large.length > 0) {
      const poor = small.pop() as number
      const rich = large.pop() as number
      keep[poor] = poor + chance[poor]
      alias[poor] = rich
      chance[rich] += chance[poor] - 1
      ;(chance[rich] < 1 ? small : large).push(rich)
    }
    this.keep = keep
    this.alias = alias
  }
}
