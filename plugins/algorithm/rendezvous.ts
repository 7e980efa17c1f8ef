import { type Algorithm, type Backend, type BackendView, definePlugin, type PickRequest, z } from 'millrace'
import { hashString, mix32 } from '../lib/hash.ts'

const span = 2 ** 32

/**
 * Rendezvous or highest random weight hashing (Thaler & Ravishankar, IEEE/ACM Trans. Networking 6(1), 1998): each key draws a
 * number `u` in (0, 1) for each backend, and goes to the backend with the largest score. With weights the score is
 * −w / ln(u), the logarithmic method (Schindelhauer & Schomaker, SPAA 2005): shares are exactly in proportion to the weights.
 *
 * No table, so no memory and nothing to build, but **a pick looks at every available backend: O(n)**. For tens of backends; beyond a
 * hundred or so maglev and ring-hash are faster. A score depends on its backend alone: one that goes, whether it is
 * unavailable, excluded or out of the config, moves its own keys and no other, evenly over the rest; all come home when it
 * returns. The weight is the configured one: the host brings keys home bit by bit in a slow start.
 */
class Rendezvous implements Algorithm {
  private backends: readonly Backend[] = []
  /** A function of the key for each backend. Two numbers: backends that share one of them still draw apart. */
  private offset = new Int32Array(0)
  private factor = new Int32Array(0)
  private inverseWeight = new Float64Array(0)

  update({ available }: BackendView): void {
    this.backends = available
    this.offset = Int32Array.from(available, ({ url }) => hashString(url, 0x6f666673))
    // Odd, so that no two keys become one.
    this.factor = Int32Array.from(available, ({ url }) => hashString(url, 0x72656e64) | 1)
    this.inverseWeight = Float64Array.from(available, ({ weight }) => 1 / weight)
  }

  /** The largest −w / ln(u) is the least −ln(u) / w. As −ln(u) > 1 − u, few backends need their logarithm taken. */
  // HOT
  pick(request: PickRequest): Backend | undefined {
    const backends = this.backends
    const offset = this.offset
    const factor = this.factor
    const inverseWeight = this.inverseWeight
    const hash = request.hash | 0
    let chosen: Backend | undefined
    let least = Number.POSITIVE_INFINITY
    for (let index = 0; index < backends.length; index++) {
      const draw = (mix32(Math.imul(hash ^ offset[index], factor[index])) >>> 0) + 0.5
      if (((span - draw) / span) * inverseWeight[index] >= least) continue
      const cost = -Math.log(draw / span) * inverseWeight[index]
      const backend = backends[index]
      // Where two are equal their URLs decide: the order of the config must not.
      const wins = cost < least || (cost === least && chosen !== undefined && backend.url < chosen.url)
      if (!wins || request.excluded(backend)) continue
      chosen = backend
      least = cost
    }
    return chosen
  }
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'rendezvous',
  description: 'Highest random weight hashing of the service key, weighted; no table, O(n) a pick.',
  options: z.strictObject({}),
  create: () => new Rendezvous(),
})
