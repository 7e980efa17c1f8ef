/**
 * Who has changed what, or tried to: one JSON line each in `node.data/audit.jsonl`, on the disk before the answer goes out, a line in the
 * log, and the newest in memory. Of the files two are kept, 8 MiB each.
 */
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Log } from '../contracts/plugin.ts'

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

const kept = 1000
const longestFile = 8 * 1024 * 1024

export interface AuditDeps {
  readonly file: string
  readonly log: Log
  /** Default 8 MiB. */
  readonly longestFile?: number
}

export class Audit {
  readonly #deps: AuditDeps
  #records: AuditRecord[] = []
  #bytes = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(deps: AuditDeps) {
    this.#deps = deps
  }

  /** Reads what earlier processes have left. A line that was cut off by a crash is passed over. */
  async load(): Promise<void> {
    const { file, log } = this.#deps
    await mkdir(dirname(file), { recursive: true })
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') log.error('audit: the file cannot be read', { file, error })
      return ''
    })
    this.#bytes = Buffer.byteLength(text)
    const lines = text.split('\n').slice(-kept - 1)
    this.#records = lines.flatMap(recordOf)
    // A line that has no end is ended: the next one stands alone.
    if (text !== '' && !text.endsWith('\n')) await this.#next('\n')
  }

  /** The newest first. */
  list(limit: number): AuditRecord[] {
    return this.#records.slice(-limit).reverse()
  }

  /** Settles when it is on the disk, or when it cannot be, which is told in the log. */
  append(record: AuditRecord): Promise<void> {
    this.#records.push(record)
    if (this.#records.length > kept) this.#records.shift()
    this.#deps.log.info(`audit: ${record.actor} ${record.route} ${record.status}`, { ...record })
    return this.#next(`${JSON.stringify(record)}\n`)
  }

  /** Settles when everything is written. */
  close(): Promise<void> {
    return this.#writing
  }

  #next(text: string): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write(text))
    return this.#writing
  }

  async #write(text: string): Promise<void> {
    const { file, log, longestFile: longest = longestFile } = this.#deps
    try {
      if (this.#bytes > longest) await this.#rotate()
      const handle = await open(file, 'a', 0o600)
      try {
        await handle.appendFile(text)
        await handle.datasync()
      } finally {
        await handle.close()
      }
      this.#bytes += Buffer.byteLength(text)
    } catch (error) {
      log.error('audit: a line cannot be written', { file, error, line: text.trimEnd() })
    }
  }

  async #rotate(): Promise<void> {
    const { file } = this.#deps
    await rename(file, `${file}.1`)
    this.#bytes = (await stat(file).catch(() => undefined))?.size ?? 0
  }
}

function recordOf(line: string): AuditRecord[] {
  if (line === '') return []
  try {
    return [JSON.parse(line) as AuditRecord]
  } catch {
    return [] // cut off; the lines before it are whole
  }
}
