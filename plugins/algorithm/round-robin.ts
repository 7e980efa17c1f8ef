import { type Algorithm, type Backend, type BackendView, definePlugin, type PickRequest, z } from 'millrace'

/**
 * Each in turn, weights ignored. The turn order is a queue: the first backend that is not excluded is picked and goes
 * to the end. So a backend that stays excluded (an open breaker) does not hand all its turns to its neighbour, as a
 * cursor over an array would; O(1) plus one step for each excluded backend in front.
 */
class RoundRobin implements Algorithm {
  private readonly random: () => number
  private backends: readonly Backend[] = []
  /** Index in `backends` of the one behind in the queue. */
  private behind = new Int32Array(0)
  private head = 0
  private tail = 0

  constructor(random: () => number) {
    this.random = random
  }

  update(view: BackendView): void {
    const backends = this.order(view.available)
    this.backends = backends
    this.behind = Int32Array.from(backends, (_, index) => index + 1)
    this.head = 0
    this.tail = backends.length - 1
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    const { backends, behind } = this
    const tail = this.tail
    if (backends.length === 0) return undefined
    let before = -1
    let index = this.head
    while (request.excluded(backends[index])) {
      if (index === tail) return undefined
      before = index
      index = behind[index]
    }
    if (index !== tail) {
      if (before < 0) this.head = behind[index]
      else behind[before] = behind[index]
      behind[tail] = index
      this.tail = index
    }
    return backends[index]
  }

  /** Those that stay keep their turn; new ones come last. The first order starts anywhere: threads must not march in step. */
  private order(available: readonly Backend[]): readonly Backend[] {
    if (this.backends.length === 0) {
      const start = Math.floor(this.random() * available.length)
      return [...available.slice(start), ...available.slice(0, start)]
    }
    const rest = new Set(available)
    const kept: Backend[] = []
    let index = this.head
    for (let left = this.backends.length; left > 0; left--) {
      if (rest.delete(this.backends[index])) kept.push(this.backends[index])
      index = this.behind[index]
    }
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
