/** What a data thread writes goes to the main thread: log lines at once, access records in batches. */
import type { Clock, Log, Timer } from '../contracts/plugin.ts'
import type { AccessRecord } from '../observe/access-record.ts'
import type { FromThread, LogLevel } from './messages.ts'

const batchRecords = 64
const batchMs = 100
/** Sent and not yet taken by the main thread, at most: when it does not keep up, later records are dropped, not held. */
const heldRecords = 16_384

/** Collects access records; sends them when there are 64, or 100 ms after the first. */
export class AccessBatch {
  readonly #clock: Clock
  readonly #post: (message: FromThread) => void
  #records: AccessRecord[] = []
  #timer: Timer | undefined
  /** Sent, and not yet taken. */
  #waiting = 0
  #dropped = 0

  constructor(clock: Clock, post: (message: FromThread) => void) {
    this.#clock = clock
    this.#post = post
  }

  add(record: AccessRecord): void {
    if (this.#waiting >= heldRecords) {
      this.#dropped++
      return
    }
    this.#records.push(record)
    if (this.#records.length >= batchRecords) this.flush()
    else this.#timer ??= this.#clock.after(batchMs, () => this.flush())
  }

  flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#records.length === 0) return
    this.#waiting += this.#records.length
    this.#post({ type: 'access', records: this.#records })
    this.#records = []
  }

  /** The main thread has taken so many. */
  taken(records: number): void {
    this.#waiting -= records
    // Said once it flows again, not for every record.
    if (this.#dropped === 0 || this.#waiting > heldRecords / 2) return
    const message = 'access log: the main thread did not keep up, records were dropped'
    this.#post({ type: 'log', level: 'warn', message, fields: { records: this.#dropped } })
    this.#dropped = 0
  }
}

/** A log whose lines the main thread writes. */
export function threadLog(post: (message: FromThread) => void, thread: number): Log {
  const write =
    (level: LogLevel) =>
    (message: string, fields?: Record<string, unknown>): void => {
      post({ type: 'log', level, message, fields: { thread, ...cloneable(fields) } })
    }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

/** Errors as text, and nothing that structured clone would throw on. */
function cloneable(fields: Record<string, unknown> | undefined): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields ?? {})) plain[name] = plainValue(value)
  return plain
}

function plainValue(value: unknown): unknown {
  if (value instanceof Error) return value.stack ?? value.message
  if (typeof value === 'function' || typeof value === 'symbol') return String(value)
  if (typeof value !== 'object' || value === null) return value
  try {
    return structuredClone(value)
  } catch {
    return String(value)
  }
}
