/**
 * Lines on the disk, in two files: the newest, and the one before. What comes while a write is under way is written together
 * after it, so that nobody waits for more than the write before and his own.
 */
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Log } from '../contracts/plugin.ts'

const usualLongest = 8 * 1024 * 1024

export interface AuditFileDeps {
  readonly file: string
  readonly log: Log
  /** Default 8 MiB. */
  readonly longestFile?: number | undefined
}

export class AuditFile {
  readonly #deps: AuditFileDeps
  #bytes = 0
  #waiting: string[] = []
  /** Of what waits. */
  #next: Promise<void> | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(deps: AuditFileDeps) {
    this.#deps = deps
  }

  /** What earlier processes have left; a line that was cut off by a crash is the last. */
  async load(): Promise<readonly string[]> {
    const { file, log } = this.#deps
    await mkdir(dirname(file), { recursive: true })
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') log.error('audit: the file cannot be read', { file, error })
      return ''
    })
    this.#bytes = Buffer.byteLength(text)
    // A line that has no end is ended: the next one stands alone.
    if (text !== '' && !text.endsWith('\n')) await this.append('')
    return text.split('\n')
  }

  /** Settles when it is on the disk, or when it cannot be, which is told in the log. */
  append(line: string): Promise<void> {
    this.#waiting.push(line)
    this.#next ??= this.#writing.then(() => this.#writeAll())
    return this.#next
  }

  /** Lines that no write has begun with. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Settles when everything is written. */
  async close(): Promise<void> {
    await (this.#next ?? this.#writing)
  }

  #writeAll(): Promise<void> {
    const lines = this.#waiting
    this.#waiting = []
    this.#next = undefined
    this.#writing = this.#write(`${lines.join('\n')}\n`)
    return this.#writing
  }

  async #write(text: string): Promise<void> {
    const { file, log, longestFile = usualLongest } = this.#deps
    try {
      // Too long is better than missing.
      if (this.#bytes > longestFile)
        await this.#rotate().catch((error: unknown) =>
          log.error('audit: the file cannot be put aside, and goes on growing', { file, error }),
        )
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
