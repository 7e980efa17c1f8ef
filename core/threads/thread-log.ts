/** What a data thread writes goes to the main thread: log lines at once, access records in batches. */
import type { Clock, Log, Timer } from '../contracts/plugin.ts'
import type { AccessRecord } from '../observe/access-record.ts'
import type { FromThread, LogLevel } from './messages.ts'

const batchRecords = 64
const batchMs = 100

/** Collects access records; sends them when there are 64, or 100 ms after the first. */
export class AccessBatch {
  readonly #clock: Clock
  readonly #post: (message: FromThread) => void
  #records: AccessRecord[] = []
  #timer: Timer | undefined

  constructor(clock: Clock, post: (message: FromThread) => void) {
    this.#clock = clock
    this.#post = post
  }

  add(record: AccessRecord): void {
    this.#records.push(record)
    if (this.#records.length >= batchRecords) this.flush()
    else this.#timer ??= this.#clock.after(batchMs, () => this.flush())
  }

  flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#records.length === 0) return
    this.#post({ type: 'access', records: this.#records })
    this.#records = []
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
