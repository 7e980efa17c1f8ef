/** `millrace config backup`: what the store holds, in a file, in a command's input, or (SQLite) as a copy of the store. */
import path from 'node:path'
import { BackupCommand } from '../../core/config/backup/command.ts'
import { BackupFolder } from '../../core/config/backup/directory.ts'
import { type Backup, takeBackup } from '../../core/config/backup/take.ts'
import { systemClock } from '../../core/host/clock.ts'
import { UsageError } from '../failure.ts'
import type { Host } from '../main.ts'
import { type StoreFlags, withStore } from './open.ts'
import { copySqlite } from './sqlite-copy.ts'
import { parseStoreUrl } from './store-url.ts'

interface BackupFlags extends StoreFlags {
  readonly to?: string
  readonly command?: string
  readonly copy?: string
  readonly incremental?: boolean
  readonly keep?: string
}

export async function backup(host: Host, flags: BackupFlags): Promise<void> {
  const { terminal } = host
  const { to, command, copy, incremental = false, fleet = 'default' } = flags
  const places = [to, command, copy].filter((place) => place !== undefined)
  if (places.length !== 1) throw new UsageError('where to? one of --to FOLDER, --command TEXT, --copy FILE')
  if (to === undefined && (incremental || flags.keep !== undefined))
    throw new UsageError('--incremental and --keep look at what is in the folder of --to')
  const keep = flags.keep === undefined ? undefined : countOf(flags.keep)
  if (copy !== undefined) return await copyStore(host, flags, copy)
  await withStore(terminal, flags, { make: false }, async ({ store }) => {
    const folder = to === undefined ? undefined : new BackupFolder(path.resolve(terminal.directory, to))
    const { env, directory } = terminal
    const own = { command: command ?? '', place: '--command' }
    const target = folder ?? new BackupCommand({ ...own, clock: systemClock, env, directory })
    const base = incremental ? await folder?.newest(fleet) : undefined
    const made = await takeBackup({ store, fleet, at: systemClock.wall(), base })
    if (!made) throw new UsageError(`the store holds nothing of the fleet ${fleet} that could be backed up`)
    await target.write(made)
    if (incremental && made.header.kind === 'full')
      terminal.err(
        `${terminal.style('yellow', 'warning:')} a full backup: ${base ? 'the store does not go on from the newest one there' : 'there is none there that can be read'}`,
      )
    terminal.out(described(made, target.place))
    if (folder === undefined || keep === undefined) return
    for (const name of await folder.prune(fleet, keep, made.name)) terminal.out(`removed ${name}`)
  })
}

function countOf(text: string): number {
  const count = Number(text)
  if (/^\d{1,9}$/.test(text) && count >= 1) return count
  throw new UsageError(`--keep: expected a number from 1, not ${text}`)
}

function described({ name, header, revisions, sha256 }: Backup, place: string): string {
  const heads = Object.entries(header.heads).map(([document, { number }]) => `${document} ${number}`)
  const since = header.base ? `, since ${header.base.name}` : ''
  return [
    `${name} in ${place}`,
    `  ${header.kind}${since}: ${heads.join(', ')}; ${revisions} revision${revisions === 1 ? '' : 's'}; SHA-256 ${sha256}`,
  ].join('\n')
}

async function copyStore({ terminal }: Host, { store: url }: BackupFlags, copy: string): Promise<void> {
  if (url === undefined) throw new UsageError('which store? --store sqlite:PATH')
  const { use, options } = parseStoreUrl(url, terminal.directory, ['sqlite', 'redis', 'zookeeper'])
  if (use !== 'sqlite') throw new UsageError('--copy: only a store sqlite:PATH is a file')
  const to = path.resolve(terminal.directory, copy)
  await copySqlite(String(options.path), to)
  terminal.out(`${to}: a copy of ${String(options.path)}`)
}
