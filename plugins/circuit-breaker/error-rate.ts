import {
  type CircuitBreaker,
  definePlugin,
  duration,
  ratio,
  type ThreadContext,
  type Timer,
  z,
} from 'millrace'
import { type FailureCounts, Gate, gateBytes, maxPermits } from '../lib/breaker-gate.ts'
import { SharedTime } from '../lib/shared-time.ts'

const options = z.strictObject({
  /** What is counted: the last so many seconds, in tenths. */
  window: duration.refine((ms) => ms >= 100, 'window must be at least 100ms').prefault('10s'),
  /** Fewer than these in the window never open the breaker. */
  minRequests: z.number().int().min(1).default(20),
  /** Share of failures in the window that opens it. */
  threshold: ratio.refine((share) => share > 0, 'threshold must be above 0%').prefault('50%'),
  /** How long it stays open; also when a trial that does not settle is given up. */
  open: duration.refine((ms) => ms > 0, 'open must be longer than 0s').prefault('30s'),
  /** Trials while half-open: so many successes close it, one failure opens it again. */
  permits: z.number().int().min(1).max(maxPermits).default(3),
})
type Options = z.output<typeof options>

const buckets = 10
/** Cells of a thread's row: [0] generation, then per bucket its interval, total and failures; whole cache lines. */
const rowCells = 32
const bucketCells = 3

/** What all gates of one instance share. */
interface Settings {
  openMs: number
  permits: number
  minRequests: number
  threshold: number
  bucketMs: number
}

function settingsOf({ open, permits, minRequests, threshold, window }: Options): Settings {
  return { openMs: open, permits, minRequests, threshold, bucketMs: window / buckets }
}

/** The interval that is now, and where its bucket stands in a row. Kept by a timer: reading the clock at each settle
 * would cost more than everything else in it. */
class BucketClock {
  interval = 0
  cell = 1
  private readonly time: SharedTime
  private readonly settings: Settings

  constructor(time: SharedTime, settings: Settings) {
    this.time = time
    this.settings = settings
    this.refresh()
  }

  refresh(): void {
    this.interval = this.time.interval(this.settings.bucketMs)
    this.cell = 1 + ((this.interval >>> 0) % buckets) * bucketCells
  }
}

/**
 * A sliding window per backend. Each thread counts in a row of its own with plain stores, so a success costs no atomic and
 * shares no cache line; the rows are summed only when a failure has come.
 */
class Window implements FailureCounts {
  private readonly rows: readonly Int32Array[]
  private readonly own: Int32Array
  private readonly now: BucketClock
  private readonly settings: Readonly<Settings>
  /** Failures are over the threshold but the requests are too few: the next success may open the breaker. */
  private waiting = false

  constructor(rows: readonly Int32Array[], thread: number, now: BucketClock, settings: Readonly<Settings>) {
    this.rows = rows
    this.own = rows[thread]
    this.now = now
    this.settings = settings
  }

  // HOT
  success(generation: number): boolean {
    this.own[this.bucket(generation) + 1]++
    return this.waiting && this.exceeded(generation)
  }

  failure(generation: number): boolean {
    this.now.refresh()
    const bucket = this.bucket(generation)
    this.own[bucket + 1]++
    this.own[bucket + 2]++
    return this.exceeded(generation)
  }

  /** First cell of the current bucket in the own row, emptied if it is from an earlier turn or state. */
  private bucket(generation: number): number {
    const { own, now } = this
    if (own[0] !== generation) {
      own.fill(0)
      own[0] = generation
    }
    const bucket = now.cell
    if (own[bucket] !== now.interval) {
      own[bucket] = now.interval
      own[bucket + 1] = 0
      own[bucket + 2] = 0
    }
    return bucket
  }

  private exceeded(generation: number): boolean {
    const rows = this.rows
    const settings = this.settings
    let total = 0
    let failures = 0
    for (let thread = 0; thread < rows.length; thread++) {
      const row = rows[thread]
      if (row[0] !== generation) continue
      for (let cell = 1; cell < 1 + buckets * bucketCells; cell += bucketCells) {
        // Another thread's timer may be a little ahead of this one's.
        const age = (this.now.interval - row[cell]) | 0
        if (age < -2 || age >= buckets) continue
        total += row[cell + 1]
        failures += row[cell + 2]
      }
    }
    const over = failures > 0 && failures >= settings.threshold * total
    this.waiting = over && total < settings.minRequests
    return over && !this.waiting
  }
}

function create(context: ThreadContext, parsed: Options): CircuitBreaker {
  const settings = settingsOf(parsed)
  const time = new SharedTime(context.clock)
  const now = new BucketClock(time, settings)
  const start = (): Timer =>
    context.clock.every(settings.bucketMs, () => {
      time.sync()
      now.refresh()
    })
  let timer = start()
  return {
    for(backend, changed) {
      const bytes = gateBytes + context.threads * rowCells * 4
      const memory = context.shared(backend.id, bytes, backend)
      const row = (thread: number): Int32Array =>
        new Int32Array(memory.buffer, memory.byteOffset + gateBytes + thread * rowCells * 4, rowCells)
      const rows = Array.from({ length: context.threads }, (_, thread) => row(thread))
      const cells = new Int32Array(memory.buffer, memory.byteOffset, gateBytes / 4)
      return new Gate(cells, new Window(rows, context.thread, now, settings), settings, time, changed)
    },
    // Counts and state stay; a new window length starts counting afresh, as its buckets are other ones.
    reconfigure(next: Options) {
      Object.assign(settings, settingsOf(next))
      timer.cancel()
      now.refresh()
      timer = start()
    },
  }
}

/** Opens when the share of failures in a sliding window reaches a threshold. */
export default definePlugin({
  api: 1,
  kind: 'circuit-breaker',
  name: 'error-rate',
  description: 'Opens when the share of failures in a sliding window reaches a threshold.',
  options,
  create,
})
