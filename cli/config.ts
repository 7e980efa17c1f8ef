/** `millrace config`: reads and changes the config of a fleet in its store. */
import { type Command, Option } from 'commander'
import { checkDynamic } from '../core/config/dynamic.ts'
import { unifiedDiff } from '../core/config/line-diff.ts'
import { configDocument } from '../core/config/sync/value.ts'
import { columns } from './columns.ts'
import { applyThroughApi } from './config/apply-api.ts'
import { backup } from './config/backup.ts'
import { readDynamic } from './config/dynamic-file.ts'
import { type StoreFlags, withStore } from './config/open.ts'
import { restore } from './config/restore.ts'
import {
  dataOf,
  describe,
  oneLine,
  parseRevision,
  readRevision,
  shownYaml,
  timeOf,
  yamlOf,
} from './config/revisions.ts'
import { noteOf, type WriteFlags, write } from './config/write.ts'
import { UsageError } from './failure.ts'
import type { Host, Verb } from './main.ts'

export const config: Verb = (program, host) => {
  const verb = program
    .command('config')
    .description('the config of a fleet in its store: see, change, undo, back up and restore revisions')
  writing(stored(verb.command('apply <file>')))
    .description('write routes, services and filters of a file to the store; shows what changes')
    .option('--expect <revision>', 'only on top of this revision; 0: only the first')
    .option('--api <url>', 'not to the store, but through the LB API of a running LB server, which checks it')
    .option('--token-file <file>', 'file with the token for --api (default: $MILLRACE_TOKEN)')
    .action((file: string, flags: ApplyFlags) => apply(host, file, flags))
  stored(verb.command('get'))
    .description('print the config as YAML')
    .option('--revision <number>', 'not the newest, but this one')
    .action((flags: StoreFlags & { revision?: string }) => get(host, flags))
  stored(verb.command('diff [from] [to]'))
    .description('what changed between two revisions; to the newest; without any from the one before')
    .action((from: string | undefined, to: string | undefined, flags: StoreFlags) =>
      diff(host, from, to, flags),
    )
  stored(verb.command('history'))
    .description('the revisions, the newest first: when, who, why')
    .option('--limit <count>', 'so many', '100')
    .action((flags: StoreFlags & { limit: string }) => history(host, flags))
  writing(stored(verb.command('rollback <revision>')))
    .description('write what an earlier revision held as a new one')
    .action((revision: string, flags: StoreFlags & WriteFlags) => rollback(host, revision, flags))
  stored(verb.command('backup'))
    .description('write what the store holds, with its history, to a file in a folder, or to a command')
    .option('--to <folder>', 'into this folder')
    .option('--command <text>', 'into the standard input of this shell command')
    .option('--copy <file>', 'sqlite: the whole store as a file, while it is used')
    .option('--incremental', 'with --to: only the history since the newest backup there')
    .option('--keep <count>', 'with --to: so many full backups stay, what is older goes')
    .action((flags: Parameters<typeof backup>[1]) => backup(host, flags))
  writing(stored(verb.command('restore <file>')))
    .description('write what a backup holds as new revisions; shows what changes')
    .action((file: string, flags: StoreFlags & WriteFlags) => restore(host, file, flags))
}

interface ApplyFlags extends StoreFlags, WriteFlags {
  readonly expect?: string
  readonly api?: string
  readonly tokenFile?: string
}

const stored = (command: Command): Command =>
  command
    .addOption(
      new Option('--store <url>', 'sqlite:PATH, redis://HOST:PORT, zookeeper://HOST:PORT').env(
        'MILLRACE_STORE',
      ),
    )
    .option('--fleet <name>', 'whose config (default: default)')
    .option(
      '-c, --config <file>',
      'config file whose plugins check their options, and whose fleetKey seals the announcement',
    )

const writing = (command: Command): Command =>
  command
    .option('-m, --message <text>', 'why: one line')
    .option('--by <name>', 'who (default: $USER@host)')
    .option('--dry-run', 'only show what would change')

async function apply(host: Host, file: string, flags: ApplyFlags): Promise<void> {
  const { terminal } = host
  const note = noteOf(terminal, flags)
  const expected =
    flags.expect === undefined || flags.expect === '0' ? flags.expect : parseRevision(flags.expect)
  if (flags.api !== undefined) {
    if (flags.by !== undefined)
      throw new UsageError('--by: through the API it is whoever the token belongs to')
    return await applyThroughApi(host, file, flags)
  }
  await withStore(terminal, flags, { file, make: flags.dryRun !== true }, async (session) => {
    const { store, registry } = session
    const { data, redact } = await readDynamic(file, terminal, registry.catalog())
    const head = await store.get(configDocument, { fresh: true })
    const number = head?.revision.number ?? 0
    if (expected === undefined || Number(expected) === number) {
      await write(host, session, { head, data, note, redact, dryRun: flags.dryRun === true })
      return
    }
    const now = head === null ? 'the store holds no config yet' : `the newest is ${describe(head)}`
    terminal.err(
      `${terminal.style('red', 'millrace:')} not written: expected revision ${expected}, and ${now}`,
    )
    host.finish(1)
  })
}

async function get({ terminal }: Host, flags: StoreFlags & { revision?: string }): Promise<void> {
  const number = flags.revision === undefined ? undefined : parseRevision(flags.revision)
  await withStore(terminal, flags, { make: false }, async ({ store }) => {
    const document = await readRevision(store, number)
    terminal.out(`# ${describe(document)}\n${yamlOf(dataOf(document))}`.trimEnd())
  })
}

async function diff(
  { terminal }: Host,
  from: string | undefined,
  to: string | undefined,
  flags: StoreFlags,
): Promise<void> {
  const [first, second] = [from, to].map((text) => (text === undefined ? undefined : parseRevision(text)))
  await withStore(terminal, flags, { make: false }, async ({ store }) => {
    const after = await readRevision(store, second)
    const { number } = after.revision
    const before = first === undefined && number === 1 ? null : await readRevision(store, first ?? number - 1)
    const lines = unifiedDiff(before === null ? '' : shownYaml(dataOf(before)), shownYaml(dataOf(after)))
    terminal.out(`--- ${before === null ? 'nothing' : describe(before)}\n+++ ${describe(after)}`)
    if (lines.length > 0) terminal.out(lines.join('\n'))
  })
}

async function history({ terminal }: Host, flags: StoreFlags & { limit: string }): Promise<void> {
  const limit = Number(flags.limit)
  if (!Number.isInteger(limit) || limit < 1)
    throw new UsageError(`--limit: expected a number from 1, not ${flags.limit}`)
  await withStore(terminal, flags, { make: false }, async ({ store }) => {
    const heads = await store.history(configDocument, { limit })
    const rows = heads.map(({ revision, at, note, bytes, tombstone }) => [
      String(revision.number),
      timeOf(at),
      oneLine(note.by),
      tombstone ? '-' : String(bytes),
      revision.id,
      oneLine(note.message ?? ''),
    ])
    const table = [['REVISION', 'AT', 'BY', 'BYTES', 'ID', 'MESSAGE'], ...rows]
    for (const line of columns(table)) terminal.out(line)
  })
}

async function rollback(host: Host, revision: string, flags: StoreFlags & WriteFlags): Promise<void> {
  const { terminal } = host
  const number = parseRevision(revision)
  const note = noteOf(terminal, { message: `rollback to revision ${number}`, ...flags })
  await withStore(terminal, flags, { make: false }, async (session) => {
    const { store, registry } = session
    const head = await readRevision(store, undefined)
    const data = dataOf(await readRevision(store, number))
    await checkDynamic(data, `revision ${number}`, registry.catalog())
    await write(host, session, { head, data, note, dryRun: flags.dryRun === true })
  })
}
