/** A sliding window of tries and failures for each backend, counted by all threads; what rate breakers are made of. */
import { type BreakerGate, duration, ratio, type ThreadContext, type Timer, z } from 'millrace'
import { type FailureCounts, type Gate, type GateSettings, gateBytes, maxPermits } from './breaker-gate.ts'
import { SharedTime } from './shared-time.ts'

const buckets = 10
/** Cells of a thread's row: [0] generation, then per bucket its interval, total and failures; whole cache lines. */
const rowCells = 32
const bucketCells = 3

/** What all gates of one instance share. */
export interface WindowSettings extends GateSettings {
  minRequests: number
  /** Share of failures that opens, above 0. */
  threshold: number
  bucketMs: number
}

/** Options of every breaker that goes by a share in a window; what fails, slow or wrong, is the breaker's own matter. */
export const windowOptions = {
  window: duration
    .refine((ms) => ms >= 100, 'window must be at least 100ms')
    .prefault('10s')
    .describe('What is counted: the last so many seconds, in tenths'),
  minRequests: z
    .number()
    .int()
    .min(1)
    .default(20)
    .describe('Fewer than these in the window never open the breaker'),
  threshold: ratio
    .refine((share) => share > 0, 'threshold must be above 0%')
    .prefault('50%')
    .describe('Share of failures in the window that opens it'),
  open: duration
    .refine((ms) => ms > 0, 'open must be longer than 0s')
    .prefault('30s')
    .describe('How long it stays open; also when a trial that does not settle is given up'),
  permits: z
    .number()
    .int()
    .min(1)
    .max(maxPermits)
    .default(3)
    .describe('Trials while half-open: so many successes close it, one failure opens it again'),
}

const windowSchema = z.strictObject(windowOptions)

/** From the parsed options. */
export function windowSettings(options: z.output<typeof windowSchema>): WindowSettings {
  const { open, permits, minRequests, threshold, window } = options
  return { openMs: open, permits, minRequests, threshold, bucketMs: window / buckets }
}

/** The interval that is now, and where its bucket stands in a row. Kept by a timer: reading the clock at each settle
 * would cost more than everything else in it. */
class BucketClock {
  interval = 0
  cell = 1
  private readonly time: SharedTime
  private readonly settings: WindowSettings

  constructor(time: SharedTime, settings: WindowSettings) {
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
  private readonly settings: Readonly<WindowSettings>
  /** Failures are over the threshold but the requests are too few: the next success may open the breaker. */
  private waiting = false

  constructor(
    rows: readonly Int32Array[],
    thread: number,
    now: BucketClock,
    settings: Readonly<WindowSettings>,
  ) {
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

/** A gate over its counts; the class may be one that sees outcomes in its own way. */
export type GateClass = new (...parts: ConstructorParameters<typeof Gate>) => BreakerGate

/** The windows of one instance: `for` as the contract wants it, `changed` when the settings are other ones. */
export class Windows {
  private readonly context: ThreadContext
  private readonly settings: WindowSettings
  private readonly gate: GateClass
  private readonly time: SharedTime
  private readonly now: BucketClock
  private timer: Timer

  constructor(context: ThreadContext, settings: WindowSettings, gate: GateClass) {
    this.context = context
    this.settings = settings
    this.gate = gate
    this.time = new SharedTime(context.clock)
    this.now = new BucketClock(this.time, settings)
    this.timer = this.start()
  }

  for(backend: { readonly id: string; readonly slot: number }, changed: () => void): BreakerGate {
    const { context, now, settings, time } = this
    const memory = context.shared(backend.id, gateBytes + context.threads * rowCells * 4, backend)
    const row = (thread: number): Int32Array =>
      new Int32Array(memory.buffer, memory.byteOffset + gateBytes + thread * rowCells * 4, rowCells)
    const rows = Array.from({ length: context.threads }, (_, thread) => row(thread))
    const cells = new Int32Array(memory.buffer, memory.byteOffset, gateBytes / 4)
    return new this.gate(cells, new Window(rows, context.thread, now, settings), settings, time, changed)
  }

  /** Counts and state stay; a new window length starts counting afresh, as its buckets are other ones. */
  changed(): void {
    this.timer.cancel()
    this.now.refresh()
    this.timer = this.start()
  }

  private start(): Timer {
    return this.context.clock.every(this.settings.bucketMs, () => {
      this.time.sync()
      this.now.refresh()
    })
  }
}
