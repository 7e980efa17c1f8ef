/** Backups in a folder: each is written whole or not at all, and the oldest go. */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
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
  /** Drops what is older than the `keep` newest full backups of the fleet. @returns their names */
  prune?(fleet: string, keep: number): Promise<readonly string[]>
}

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
      await writeDurably(temporary, bytes)
      // A disk that has not kept it is found now, and not on the day when it is needed.
      parseBackup(await readFile(temporary), temporary)
      await rename(temporary, file)
      await syncFolder(this.place)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw backupError(`the backup was not written to ${this.place}`, error)
    }
  }

  async prune(fleet: string, keep: number): Promise<readonly string[]> {
    const names = await this.#names(fleet)
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

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  // Private: services may hold keys of TLS.
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
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
