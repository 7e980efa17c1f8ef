/** A copy of a SQLite store while others use it. */
import { existsSync } from 'node:fs'
import { chmod, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { backupError, syncFolder } from '../../core/config/backup/directory.ts'
import { MillraceError } from '../../core/host/errors.ts'
import { UsageError } from '../failure.ts'

/** All in one step: one that is interrupted by a writer begins anew, and where there are many would never end. */
const allPages = 2 ** 30

/**
 * @param from the store's file
 * @param to what is to be; nothing is written over
 * @throws UsageError, MR_BACKUP; there is no file `to` then
 */
export async function copySqlite(from: string, to: string): Promise<void> {
  if (!existsSync(from)) throw new UsageError(`--store: there is no file ${from}`)
  if (existsSync(to)) throw new UsageError(`--copy: ${to} is there already`)
  // Of this process alone: what another copies to the same name is not touched.
  const temporary = path.join(path.dirname(to), `.${path.basename(to)}.${process.pid}.tmp`)
  try {
    await drop(temporary)
    // Private from the start: services may hold keys of TLS. New: nothing that a link points to is written to.
    await (await open(temporary, 'wx', 0o600)).close()
    const source = new DatabaseSync(from, { readOnly: true, timeout: 5000 })
    try {
      await backup(source, temporary, { rate: allPages })
    } finally {
      source.close()
    }
    check(temporary)
    await chmod(temporary, 0o600)
    await sync(temporary)
    if (existsSync(to)) throw new UsageError(`--copy: ${to} is there by now`)
    await rename(temporary, to)
    await syncFolder(path.dirname(to))
  } catch (error) {
    await drop(temporary).catch(() => {})
    if (error instanceof UsageError) throw error
    throw backupError(`${from} was not copied to ${to}`, error)
  }
}

/** A database, and what SQLite has beside it. */
async function drop(file: string): Promise<void> {
  for (const end of ['', '-wal', '-shm', '-journal']) await rm(`${file}${end}`, { force: true })
}

/** Whether it is whole; what is beside the file goes into it. */
function check(file: string): void {
  const copy = new DatabaseSync(file)
  try {
    const [first] = copy.prepare('PRAGMA integrity_check').all()
    if (first?.integrity_check !== 'ok')
      throw new MillraceError('MR_BACKUP', `the copy is damaged: ${String(first?.integrity_check)}`)
  } finally {
    copy.close()
  }
}

async function sync(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
