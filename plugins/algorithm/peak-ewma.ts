import {
  type Algorithm,
  type Backend,
  type BackendView,
  definePlugin,
  duration,
  type Outcome,
  type PickRequest,
  type ThreadContext,
  z,
} from 'millrace'
import { Latency } from '../lib/latency.ts'
import { RandomSource } from '../lib/random-source.ts'
import { SharedTime } from '../lib/shared-time.ts'
import { WeightedDraw } from '../lib/weighted-draw.ts'

const options = z.strictObject({
  decay: duration
    .refine((ms) => ms > 0, 'decay must be longer than 0s')
    .prefault('10s')
    .describe(
      'How fast the past is forgotten: after this time without an answer what is known of a backend counts 1/e',
    ),
})
type Options = z.output<typeof options>

/** How often a second, different backend is drawn before the first is taken alone: it then outweighs the rest anyway. */
const secondDraws = 8
/** What a failure without an answer counts as, at least. */
const failureMs = 1000
/** How often the offset of the shared time is taken anew. */
const syncMs = 10_000

/**
 * Draws two different backends by weight and takes the one with the lower cost: the time to its first byte, averaged and
 * sensitive to peaks, times what would be in flight with this one; O(1) (Finagle's `PeakEwma`, Linkerd's default).
 *
 * The averages are in memory that all threads share, a backend's beside its slot: a thread profits from what the others
 * saw, and a reload or a new thread starts with what is known. While nothing is known of a backend one exchange at a time is
 * sent there to find out. A failure never makes a backend look faster, and one without an answer counts as a second:
 * whoever refuses quickly would otherwise get everything.
 */
class PeakEwma implements Algorithm {
  private readonly context: ThreadContext
  private readonly draw: WeightedDraw
  private readonly time: SharedTime
  private decayMs: number
  private view: BackendView | undefined
  private known = new Map<Backend, Latency>()
  /** Parallel to `draw.backends`. */
  private latencies: readonly Latency[] = []
  /** Exchanges in flight count by this: mean weight / weight. */
  private perExchange = new Float64Array(0)

  constructor(context: ThreadContext, { decay }: Options) {
    this.context = context
    this.draw = new WeightedDraw(new RandomSource(() => context.random()))
    this.time = new SharedTime(context.clock)
    this.decayMs = decay
    context.clock.every(syncMs, () => this.time.sync())
  }

  update(view: BackendView): void {
    const before = this.known
    const { available } = view
    const now = this.time.now()
    this.view = view
    this.draw.update(view)
    this.known = new Map(view.all.map((backend) => [backend, before.get(backend) ?? this.latencyOf(backend)]))
    for (const latency of this.known.values()) latency.forgetOld(now, this.decayMs)
    this.latencies = available.map((backend) => this.known.get(backend) as Latency)
    const mean = available.reduce((sum, backend) => sum + view.weight(backend), 0) / available.length
    this.perExchange = Float64Array.from(available, (backend) => mean / view.weight(backend))
  }

  private latencyOf(backend: Backend): Latency {
    return new Latency(this.context.shared(`latency ${backend.id}`, Latency.bytes, backend))
  }

  // HOT
  pick(request: PickRequest): Backend | undefined {
    const { draw } = this
    const first = draw.pick(request)
    if (first < 0) return undefined
    const { backends } = draw
    for (let tries = backends.length === 1 ? 0 : secondDraws; tries > 0; tries--) {
      const second = backends.length === 2 ? 1 - first : draw.index()
      if (second === first || request.excluded(backends[second])) continue
      return backends[this.isCheaper(second, first) ? second : first]
    }
    return backends[first]
  }

  // HOT
  private isCheaper(a: number, b: number): boolean {
    const view = this.view as BackendView
    const { backends } = this.draw
    const latencies = this.latencies
    const perExchange = this.perExchange
    const loadA = view.inFlight(backends[a]) * perExchange[a]
    const loadB = view.inFlight(backends[b]) * perExchange[b]
    const knownA = latencies[a].known
    const knownB = latencies[b].known
    if (knownA && knownB) {
      // Both averages have decayed until now; of that only the difference of their ages is left in the comparison.
      return (loadA + 1) * latencies[a].relativeTo(latencies[b], this.decayMs) < loadB + 1
    }
    // Nothing is known of one: free while it has nothing to do, then too dear.
    if (knownA) return loadB > 0
    if (knownB) return loadA === 0
    return loadA < loadB
  }

  // HOT
  settled(backend: Backend, outcome: Outcome, firstByteMs: number): void {
    if (outcome === 'cancelled') return
    const latency = this.known.get(backend)
    if (latency === undefined) return
    const answered = !Number.isNaN(firstByteMs)
    if (outcome === 'success') {
      if (answered) latency.observe(firstByteMs, this.time.now(), this.decayMs)
    } else latency.worsen(answered ? firstByteMs : failureMs, this.time.now(), this.decayMs)
  }

  reconfigure({ decay }: Options): void {
    this.decayMs = decay
  }
}

export default definePlugin({
  api: 1,
  kind: 'algorithm',
  name: 'peak-ewma',
  description:
    'The cheaper of two backends drawn at random, weighted: by their time to first byte and what is in flight.',
  options,
  create: (context, parsed) => new PeakEwma(context, parsed),
})
