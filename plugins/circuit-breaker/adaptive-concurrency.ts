import { type BreakerGate, definePlugin, duration, type Outcome, z } from 'millrace'
import { elapsed, SharedTime } from '../lib/shared-time.ts'

const options = z
  .strictObject({
    min: z
      .number()
      .int()
      .min(1)
      .default(5)
      .describe('Exchanges in flight that a backend always may have, and never more than, over all threads'),
    max: z
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .default(1000)
      .describe('Exchanges in flight that it never has more than, over all threads'),
    initial: z
      .number()
      .int()
      .min(1)
      .default(20)
      .describe('What a backend may have before anything was measured'),
    interval: duration
      .refine((ms) => ms >= 10, 'interval must be at least 10ms')
      .prefault('250ms')
      .describe('How often the limit is set anew'),
    tolerance: z
      .number()
      .min(1)
      .max(10)
      .default(1.5)
      .describe(
        'The mean time of a window may be so many times that of an unburdened backend before the limit falls',
      ),
    minRequests: z.number().int().min(1).default(10).describe('Windows with fewer tries say nothing'),
  })
  .refine(({ min, max }) => min <= max, { error: 'min is larger than max', path: ['min'] })
type Options = z.output<typeof options>

/** Cells of a backend, doubles: a line for all threads, then one for each. */
const lineCells = 8
const common = {
  limit: 0,
  claim: 1,
  minMs: 2,
  done: 3,
  totalMs: 4,
  dropped: 5,
  windows: 6,
  before: 7,
} as const
const cell = { inFlight: 0, done: 1, totalMs: 2, dropped: 3 } as const
/** Share of a new limit that is taken over at once. */
const smoothing = 0.2
/** After so many windows the limit is halved for two, to see what time an unburdened backend takes. */
const probeEvery = 60
/** What a window with lost tries leaves of the limit. */
const backOff = 0.9

/** What the gates of one instance share: the options, and the time, which is read once an interval. */
interface Pace {
  options: Options
  now: number
}

/**
 * One backend of one thread. Counts are plain stores into a line of its own. Whoever settles first in an interval sets the
 * limit for all: no timer touches the memory of a backend that may be gone.
 */
class Limiter implements BreakerGate {
  readonly state = 'closed'
  private readonly cells: Float64Array
  private readonly claims: Int32Array
  private readonly own: number
  private readonly pace: Readonly<Pace>
  private seenNow: number

  constructor(cells: Float64Array, thread: number, pace: Readonly<Pace>) {
    this.cells = cells
    this.claims = new Int32Array(cells.buffer, cells.byteOffset + common.claim * 8, 1)
    this.own = lineCells * (thread + 1)
    this.pace = pace
    this.seenNow = pace.now
    // What a thread that died had in flight will never settle.
    cells.fill(0, this.own, this.own + lineCells)
  }

  // HOT
  tryAcquire(): number {
    const { cells } = this
    if (this.sum(cell.inFlight) >= cells[common.limit]) return 0
    cells[this.own + cell.inFlight]++
    return 1
  }

  // HOT
  settle(_token: number, outcome: Outcome, ms: number): void {
    const { cells, own } = this
    if (outcome !== 'cancelled') {
      if (ms > 0) {
        cells[own + cell.done]++
        cells[own + cell.totalMs] += ms
      } else cells[own + cell.dropped]++
    }
    if (this.seenNow !== this.pace.now) this.takeTurn()
    // None is left where the line has begun anew since: this one was let in before.
    if (cells[own + cell.inFlight] > 0) cells[own + cell.inFlight]--
  }

  // HOT
  private sum(of: number): number {
    const { cells } = this
    let sum = 0
    for (let at = lineCells + of; at < cells.length; at += lineCells) sum += cells[at]
    return sum
  }

  private takeTurn(): void {
    this.seenNow = this.pace.now
    const last = Atomics.load(this.claims, 0)
    if (last !== 0 && !elapsed(last, this.seenNow, this.pace.options.interval)) return
    // 0 means that nobody has been here yet.
    const mine = this.seenNow === 0 ? 1 : this.seenNow
    if (Atomics.compareExchange(this.claims, 0, last, mine) === last) this.adjust()
  }

  private adjust(): void {
    const { cells } = this
    const { min, max, minRequests } = this.pace.options
    const done = this.since(cell.done, common.done)
    const totalMs = this.since(cell.totalMs, common.totalMs)
    const dropped = this.since(cell.dropped, common.dropped)
    if (done + dropped < minRequests) return
    cells[common.done] = this.sum(cell.done)
    cells[common.totalMs] = this.sum(cell.totalMs)
    cells[common.dropped] = this.sum(cell.dropped)
    const limit = cells[common.limit]
    const wanted = dropped * 10 > done ? limit * backOff : this.byGradient(limit, totalMs / done)
    cells[common.limit] = Math.max(min, Math.min(max, wanted))
  }

  private byGradient(limit: number, shortMs: number): number {
    const { cells } = this
    const { min, tolerance } = this.pace.options
    const windows = ++cells[common.windows]
    const before = cells[common.before]
    if (before > 0) {
      // The first window of a probe still holds what came before it.
      if (windows < 2) return limit
      cells[common.minMs] = shortMs
      cells[common.before] = 0
      cells[common.windows] = 0
      return before
    }
    const known = cells[common.minMs]
    const minMs = known === 0 ? shortMs : Math.min(known, shortMs)
    cells[common.minMs] = minMs
    if (windows >= probeEvery) {
      cells[common.before] = limit
      cells[common.windows] = 0
      return Math.max(min, limit / 2)
    }
    const gradient = Math.max(0.5, Math.min(1, (tolerance * minMs) / shortMs))
    const wanted = limit + (limit * gradient + Math.sqrt(limit) - limit) * smoothing
    // What is not used up says nothing about a larger limit.
    return wanted > limit && this.sum(cell.inFlight) < limit / 2 ? limit : wanted
  }

  /** Since the limit was set last. Less than then: a thread died, and its line began anew. */
  private since(of: number, before: number): number {
    const now = this.sum(of)
    const then = this.cells[before]
    return now < then ? now : now - then
  }
}

/**
 * Never opens: it limits how many exchanges a backend has in flight, and finds the limit by itself. While the time to the
 * first byte stays near that of an unburdened backend the limit grows by its square root, where it is used; when the time rises
 * beyond `tolerance`, it falls in proportion. Now and then it is halved for a moment to measure the unburdened time anew. (The
 * gradient controller of Envoy's adaptive concurrency filter; Netflix' Gradient2 compares with a long-term mean
 * instead, which an overload that lasts takes along.) Who is over the limit is refused, and goes to another backend.
 */
export default definePlugin({
  api: 1,
  kind: 'circuit-breaker',
  name: 'adaptive-concurrency',
  description: 'Limits the exchanges in flight on each backend by how its answer time develops.',
  options,
  create(context, parsed) {
    const time = new SharedTime(context.clock)
    const pace: Pace = { options: parsed, now: time.now() }
    const start = () =>
      context.clock.every(pace.options.interval, () => {
        time.sync()
        pace.now = time.now()
      })
    let timer = start()
    return {
      for(backend) {
        const length = lineCells * (context.threads + 1)
        const memory = context.shared(backend.id, 8 * length, backend)
        const cells = new Float64Array(memory.buffer, memory.byteOffset, length)
        const { min, max, initial } = pace.options
        if (cells[common.limit] === 0) cells[common.limit] = Math.max(min, Math.min(max, initial))
        return new Limiter(cells, context.thread, pace)
      },
      reconfigure(next: Options) {
        pace.options = next
        timer.cancel()
        timer = start()
      },
    }
  },
})
