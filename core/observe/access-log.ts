/** The access log: one JSON line per exchange, written by the main thread to standard output or a file. */
import { closeSync, openSync } from 'node:fs'
import { destination, type Logger, pino } from 'pino'
import type { Timer } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import type { AccessRecord } from './access-record.ts'

/** Lines are gathered up to this many bytes, or for `flushMs`. */
const gatheredBytes = 16 * 1024
const flushMs = 250
/** Written at once at most. */
const writeBytes = 64 * 1024
/** Held in memory at most when the disk or the reader of standard output does not keep up; later lines are dropped. */
const heldBytes = 16 * 1024 * 1024

export interface AccessLogDeps {
  readonly clock: { every(ms: number, run: () => void): Timer }
  /** Told of writes that fail (disk full) and of lines that were dropped; the log goes on trying. */
  failed(error: Error): void
}

type Stream = ReturnType<typeof destination>

export class AccessLog {
  /** undefined: standard output. */
  readonly path: string | undefined
  readonly #deps: AccessLogDeps
  readonly #logger: Logger
  readonly #timer: Timer
  #stream: Stream
  #dropped = 0
  /** Of them, those that were told of. */
  #told = 0
  /** Settles when the streams of before the last rotations have ended. */
  #ended: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined

  /**
   * @param path of the file, which is appended to; undefined: standard output
   * @throws MR_CONFIG_FILE when the file cannot be opened
   */
  constructor(path: string | undefined, deps: AccessLogDeps) {
    this.path = path
    this.#deps = deps
    this.#stream = this.#open()
    // Neither pid, host name nor level; `type` tells the lines from others on standard output.
    const formatters = { level: () => ({ type: 'access' }) }
    const output = { write: (line: string): unknown => this.#stream.write(line) }
    this.#logger = pino({ base: null, timestamp: false, formatters }, output)
    this.#timer = deps.clock.every(flushMs, () => this.#flush())
  }

  /** Lines lost because they could not be written in time. */
  get dropped(): number {
    return this.#dropped
  }

  write(record: AccessRecord): void {
    if (this.#closed === undefined) this.#logger.info(toLine(record))
  }

  /**
   * Opens the file anew, after it was moved away by a log rotation. What was written before goes to the old one.
   * @throws MR_CONFIG_FILE when the file cannot be opened; the old one stays in use
   */
  reopen(): void {
    if (this.path === undefined || this.#closed !== undefined) return
    const old = this.#stream
    this.#stream = this.#open()
    // The stream's own `reopen` never ends when it is closed soon after.
    this.#ended = Promise.all([this.#ended, end(old)])
  }

  /** Writes what is held and closes the file. Idempotent. */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#timer.cancel()
      this.#closed = Promise.all([this.#ended, end(this.#stream)]).then(() => {})
    }
    return this.#closed
  }

  #flush(): void {
    this.#stream.flush()
    const lost = this.#dropped - this.#told
    if (lost === 0) return
    this.#told = this.#dropped
    this.#deps.failed(new Error(`${lost} lines dropped, what reads or stores them does not keep up`))
  }

  #open(): Stream {
    const { path } = this
    if (path !== undefined) tryOpen(path)
    const stream = destination({
      dest: path ?? 1,
      sync: false,
      minLength: gatheredBytes,
      maxWrite: writeBytes,
      maxLength: heldBytes,
    })
    stream.on('error', this.#deps.failed)
    stream.on('drop', () => this.#dropped++)
    return stream
  }
}

/** Writes what the stream holds and closes it. A last write that fails ends it too. */
function end(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    stream.once('close', resolve)
    stream.once('error', () => resolve())
    stream.end()
  })
}

/** The stream opens its file later and reports failures as it would a failed write: so it is tried at once. */
function tryOpen(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o640))
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
