/**
 * Who has changed what: one JSON line each in `node.data/audit.jsonl`, on the disk before the answer goes out, a line in the
 * log, and the newest in memory. Who has tried to and was refused: the same in `audit-refused.jsonl`, where what is repeated is
 * counted, and nobody waits for it. So a token that may change nothing neither displaces what was changed nor holds it up.
 */
import type { Log } from '../contracts/plugin.ts'
import type { RawClock } from '../host/clock.ts'
import { AuditFile } from './audit-file.ts'
import { Repeats } from './repeats.ts'

export interface AuditRecord {
  /** ISO 8601. */
  readonly at: string
  /** `Millrace-Request-Id` of the answer. */
  readonly request: string
  readonly actor: string
  readonly role: string
  /** Address of the client. */
  readonly from: string
  /** `PUT /v1/config`. */
  readonly route: string
  /** As it was called: parameters filled in. */
  readonly url: string
  readonly status: number
  /** Of the error, where it was refused. */
  readonly code?: string | undefined
  readonly document?: string | undefined
  readonly target?: string | undefined
  /** Revisions of the document; equal: nothing was changed. */
  readonly before?: number | undefined
  readonly after?: number | undefined
}

/** The newest of its kind since the one before, and how many they were. */
export interface RefusedRecord extends AuditRecord {
  readonly count: number
}

const kept = 1000
/** Lines of refusals that a disk which does not keep up may leave waiting. */
const mostWaiting = 256

export interface AuditDeps {
  readonly file: string
  /** Of what was refused. */
  readonly refusedFile: string
  readonly log: Log
  readonly clock: Pick<RawClock, 'after'>
  /** Of each; default 8 MiB. */
  readonly longestFile?: number
}

export class Audit {
  readonly #log: Log
  readonly #changes: AuditFile
  readonly #refusals: AuditFile
  readonly #repeats: Repeats<AuditRecord>
  #records: AuditRecord[] = []
  #refused: RefusedRecord[] = []

  constructor({ file, refusedFile, log, clock, longestFile }: AuditDeps) {
    this.#log = log
    this.#changes = new AuditFile({ file, log, longestFile })
    this.#refusals = new AuditFile({ file: refusedFile, log, longestFile })
    this.#repeats = new Repeats(clock, (record, count) => this.#tellRefused({ ...record, count }))
  }

  /** Reads what earlier processes have left. A line that was cut off by a crash is passed over. */
  async load(): Promise<void> {
    this.#records = newest(await this.#changes.load())
    this.#refused = newest(await this.#refusals.load()) as RefusedRecord[]
  }

  /** Changes; the newest first. */
  list(limit: number): AuditRecord[] {
    return this.#records.slice(-limit).reverse()
  }

  /** Attempts that have changed nothing; the newest first. */
  listRefused(limit: number): RefusedRecord[] {
    return this.#refused.slice(-limit).reverse()
  }

  /** Settles when it is on the disk, or when it cannot be, which is told in the log. */
  append(record: AuditRecord): Promise<void> {
    keep(this.#records, record)
    this.#log.info(`audit: ${record.actor} ${record.route} ${record.status}`, { ...record })
    return this.#changes.append(JSON.stringify(record))
  }

  /** Nothing was changed. Notes it and returns; what is repeated within 10 s is one record. */
  refused(record: AuditRecord): void {
    this.#repeats.add(`${record.actor} ${record.route}`, record)
  }

  /** Settles when everything is written. */
  async close(): Promise<void> {
    this.#repeats.close()
    await Promise.all([this.#changes.close(), this.#refusals.close()])
  }

  #tellRefused(record: RefusedRecord): void {
    keep(this.#refused, record)
    this.#log.info(`audit: ${record.actor} ${record.route} ${record.status}`, { ...record })
    // The log and the memory have it.
    if (this.#refusals.waiting < mostWaiting) void this.#refusals.append(JSON.stringify(record))
  }
}

function keep<T>(records: T[], record: T): void {
  records.push(record)
  if (records.length > kept) records.shift()
}

const newest = (lines: readonly string[]): AuditRecord[] => lines.slice(-kept - 1).flatMap(recordOf)

function recordOf(line: string): AuditRecord[] {
  if (line === '') return []
  try {
    return [JSON.parse(line) as AuditRecord]
  } catch {
    return [] // cut off; the lines before it are whole
  }
}
