/** The access log: one JSON line per exchange, written by the main thread to standard output or a file. */
import { openSync } from 'node:fs'
import { destination, type Logger, pino } from 'pino'
import type { Timer } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import type { AccessRecord } from './access-record.ts'

/** Lines are gathered up to this many bytes, or for `flushMs`. */
const gatheredBytes = 16 * 1024
const flushMs = 250
/** Held in memory at most when the disk or the reader of standard output does not keep up; later lines are dropped. */
const heldBytes = 16 * 1024 * 1024

export interface AccessLogDeps {
  readonly clock: { every(ms: number, run: () => void): Timer }
  /** Told of writes that fail (disk full); the log goes on trying. */
  failed(error: Error): void
}

export class AccessLog {
  /** undefined: standard output. */
  readonly path: string | undefined
  readonly #stream: ReturnType<typeof destination>
  readonly #logger: Logger
  readonly #timer: Timer
  #dropped = 0
  #closed: Promise<void> | undefined

  /**
   * @param path of the file, which is appended to; undefined: standard output
   * @throws MR_CONFIG_FILE when the file cannot be opened
   */
  constructor(path: string | undefined, deps: AccessLogDeps) {
    this.path = path
    this.#stream = destination({
      dest: path === undefined ? 1 : open(path),
      sync: false,
      minLength: gatheredBytes,
      maxLength: heldBytes,
    })
    this.#stream.on('error', deps.failed)
    this.#stream.on('drop', () => this.#dropped++)
    // Neither pid, host name, level nor message: a line holds the exchange and nothing else.
    this.#logger = pino({ base: null, timestamp: false, formatters: { level: () => ({}) } }, this.#stream)
    this.#timer = deps.clock.every(flushMs, () => this.#stream.flush())
  }

  /** Lines lost because they could not be written in time. */
  get dropped(): number {
    return this.#dropped
  }

  write(record: AccessRecord): void {
    if (this.#closed === undefined) this.#logger.info(toLine(record))
  }

  /** Opens the file anew, after it was moved away by a log rotation. */
  reopen(): void {
    if (this.path !== undefined && this.#closed === undefined) this.#stream.reopen(this.path)
  }

  /** Writes what is held and closes the file. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#timer.cancel()
      this.#stream.once('close', resolve)
      this.#stream.end()
    })
    return this.#closed
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'a', 0o640)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new MillraceError('MR_CONFIG_FILE', `the access log cannot be opened: ${reason}`, {
      path: 'accessLog',
      cause,
    })
  }
}

/** What is not known is null, so that every line has the same keys. */
function toLine(record: AccessRecord): Record<string, unknown> {
  return {
    time: new Date(record.time).toISOString(),
    id: record.id,
    listener: record.listener,
    client: record.clientAddress || null,
    method: record.method,
    host: record.host,
    target: record.target,
    status: record.status || null,
    route: record.route || null,
    service: record.service || null,
    backend: record.backend || null,
    attempts: record.attempts,
    bytesIn: record.bytesIn,
    bytesOut: record.bytesOut,
    durationMs: milliseconds(record.durationMs),
    upstreamMs: milliseconds(record.upstreamMs),
    overheadMs: milliseconds(record.overheadMs),
    outcome: record.outcome,
    errorCode: record.errorCode || null,
  }
}

/** To the microsecond; null for NaN. */
function milliseconds(ms: number): number | null {
  return Number.isFinite(ms) ? Math.round(ms * 1000) / 1000 : null
}
