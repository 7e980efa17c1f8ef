/** The access log as the config has it now: opened before a snapshot is committed, so that a path that cannot be written is
 * refused; closed after. */
import type { Snapshot } from '../config/snapshot.ts'
import type { Log } from '../contracts/plugin.ts'
import type { RawClock } from '../host/clock.ts'
import { AccessLog } from '../observe/access-log.ts'
import type { AccessRecord } from '../observe/access-record.ts'

export interface PreparedAccessLog {
  commit(): void
  discard(): void
}

const nothing: PreparedAccessLog = { commit() {}, discard() {} }

export class AccessLogSwitch {
  readonly #clock: RawClock
  readonly #log: Log
  #open: AccessLog | undefined

  constructor(clock: RawClock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** @throws MR_CONFIG_FILE */
  prepare(wanted: Snapshot['accessLog']): PreparedAccessLog {
    const same = wanted.enabled ? this.#open && this.#open.path === wanted.path : !this.#open
    if (same) return nothing
    const next = wanted.enabled ? this.#make(wanted.path) : undefined
    return {
      commit: () => {
        const before = this.#open
        this.#open = next
        void before?.close()
      },
      discard: () => void next?.close(),
    }
  }

  write(records: readonly AccessRecord[]): void {
    for (const record of records) this.#open?.write(record)
  }

  /** After a log rotation has moved the file away. A path that cannot be opened now is logged; the old file stays in use. */
  reopen(): void {
    try {
      this.#open?.reopen()
    } catch (error) {
      this.#log.error('access log: cannot be reopened and goes on in the old file', {
        path: this.#open?.path,
        error: error instanceof Error ? error.message : String(error),
      })
    }
  }

  async close(): Promise<void> {
    const last = this.#open
    this.#open = undefined
    await last?.close()
  }

  #make(path: string | undefined): AccessLog {
    const failed = (error: Error): void => {
      this.#log.error('access log: cannot write', { path, error: error.message })
    }
    return new AccessLog(path, { clock: this.#clock, failed })
  }
}
