/** Backups in a folder: each is written whole or not at all, and the oldest go. */
import { lstat, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../../host/errors.ts'
import { parseBackup } from './format.ts'
import { type Backup, type Base, baseOf, kindOfName } from './take.ts'

/** Where backups go. */
export interface BackupTarget {
  /** For messages. */
  readonly place: string
  /** Keeps it. @param signal gives it up. @throws MR_BACKUP when it could not */
  write(backup: Backup, signal?: AbortSignal): Promise<void>
  /**
   * Drops what is older than the `keep` newest full backups of the fleet.
   * @param newest the one that was just made. What is named after a later time was so by a clock that was wrong: it does not count, and stays
   * @returns their names
   */
  prune?(fleet: string, keep: number, newest: string): Promise<readonly string[]>
}

/** No write takes so long: what is older was left behind by a process that was killed. */
const longestWriteMs = 3_600_000
const temporaryPattern = /^\.millrace-.+\.ndjson\.tmp$/

export class BackupFolder implements BackupTarget {
  readonly place: string

  /** @param folder absolute; made when it is not there */
  constructor(folder: string) {
    this.place = folder
  }

  async write({ name, bytes }: Backup): Promise<void> {
    const file = join(this.place, name)
    const temporary = join(this.place, `.${name}.tmp`)
    try {
      await mkdir(this.place, { recursive: true, mode: 0o700 })
      await this.#write(temporary, bytes)
      // A disk that has not kept it is found now, and not on the day when it is needed.
      parseBackup(await readFile(temporary), temporary)
      await rename(temporary, file)
      await syncFolder(this.place)
    } catch (error) {
      // Where it was there already it is another's.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
        await rm(temporary, { force: true }).catch(() => {})
      throw backupError(`the backup was not written to ${this.place}`, error)
    }
  }

  async prune(fleet: string, keep: number, newest: string): Promise<readonly string[]> {
    const names = (await this.#names(fleet)).filter((name) => name <= newest)
    const full = names.filter((name) => kindOfName(name, fleet) === 'full')
    const oldest = full[keep - 1]
    if (oldest === undefined) return []
    const old = names.slice(names.indexOf(oldest) + 1)
    try {
      for (const name of old) await rm(join(this.place, name), { force: true })
    } catch (error) {
      throw backupError(`old backups in ${this.place} cannot be removed`, error)
    }
    return old
  }

  /** The newest backup of the fleet that can be read; undefined: there is none. */
  async newest(fleet: string): Promise<Base | undefined> {
    for (const name of await this.#names(fleet)) {
      try {
        const { header } = parseBackup(await readFile(join(this.place, name)), name)
        if (header.fleet === fleet) return baseOf({ name, header })
      } catch {
        // Damaged: the next one holds less, and what goes on from it so much the more.
      }
    }
    return undefined
  }

  async #write(temporary: string, bytes: Uint8Array): Promise<void> {
    // Private: services may hold keys of TLS. New: nothing that is there is written to, nor what a link points to.
    const file = await open(temporary, 'wx', 0o600)
    try {
      await this.#sweep((await file.stat()).mtimeMs)
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** Makes room where others were killed while they wrote. @param now by the clock that dates the files here */
  async #sweep(now: number): Promise<void> {
    for (const name of await readdir(this.place).catch(() => []))
      if (temporaryPattern.test(name)) {
        const file = join(this.place, name)
        // What cannot be looked at or removed is in nobody's way.
        const left = await lstat(file).catch(() => undefined)
        if (left && now - left.mtimeMs > longestWriteMs) await rm(file, { force: true }).catch(() => {})
      }
  }

  /** The newest first. */
  async #names(fleet: string): Promise<string[]> {
    const names = await readdir(this.place).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw backupError(`${this.place} cannot be read`, error)
    })
    return names
      .filter((name) => kindOfName(name, fleet) !== undefined)
      .sort()
      .reverse()
  }
}

export function backupError(what: string, error: unknown): MillraceError {
  const { code } = error as NodeJS.ErrnoException
  const message = error instanceof Error ? error.message : String(error)
  const why = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG' ? 'there is no room for it' : message
  return new MillraceError('MR_BACKUP', `${what}: ${why}${why === message ? '' : ` (${code})`}`, {
    cause: error,
  })
}

/** Without it the new name may be gone after a power cut. */
export async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
