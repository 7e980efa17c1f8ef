/** `millrace config restore`: what a backup holds, as new revisions on top of what is there. Nothing of the history is changed. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { headIn, type ParsedBackup, parseBackup } from '../../core/config/backup/format.ts'
import { checkDynamic } from '../../core/config/dynamic.ts'
import { unifiedDiff } from '../../core/config/line-diff.ts'
import { decodeOverrides, overridesDocument } from '../../core/config/overrides.ts'
import { checkKnown } from '../../core/config/sync/schema-gate.ts'
import { configDocument } from '../../core/config/sync/value.ts'
import type { ConfigStore, Document } from '../../core/contracts/index.ts'
import { MillraceError } from '../../core/host/errors.ts'
import { UsageError } from '../failure.ts'
import type { Host } from '../main.ts'
import { type StoreFlags, withStore } from './open.ts'
import { dataBefore, dataOf, describe, shownYaml, sumOf, timeOf, yamlOf } from './revisions.ts'
import { noteOf, settled, type WriteFlags, whyNot } from './write.ts'

interface Change {
  readonly document: string
  /** What is to be written; what it is written on top of. */
  readonly wanted: Document
  readonly head: Document | null
}

export async function restore(host: Host, file: string, flags: StoreFlags & WriteFlags): Promise<void> {
  const { terminal, finish } = host
  const { fleet = 'default', dryRun = false } = flags
  const name = path.basename(file)
  const backup = parseBackup(await read(path.resolve(terminal.directory, file)), name)
  const { header } = backup
  if (header.fleet !== fleet)
    throw new MillraceError(
      'MR_BACKUP',
      `${name} is a backup of the fleet ${header.fleet}, and this would write it to the fleet ${fleet}; --fleet ${header.fleet} brings it back to its own`,
    )
  const message = `restored from ${name}, of ${timeOf(header.at)}`
  const note = noteOf(terminal, { message, ...flags })
  terminal.out(`${name}: ${header.kind}, of ${timeOf(header.at)}; its checksum is right`)
  await withStore(terminal, flags, { make: !dryRun }, async ({ store, registry, announcer }) => {
    const changes: Change[] = []
    for (const document of Object.keys(header.heads).sort()) {
      const change = await changeOf(store, backup, document, name)
      if (document === configDocument && !change.wanted.tombstone)
        await checkDynamic(dataOf(change.wanted), `${name}: ${document}`, registry.catalog())
      // No node could use what cannot be read: breakers and drains would stay as they are.
      if (document === overridesDocument) decodeOverrides(change.wanted.value, change.wanted.revision.number)
      if (show(host, change)) changes.push(change)
    }
    if (changes.length === 0) return
    if (dryRun) return terminal.out('not written: --dry-run')
    for (const { document, wanted, head } of changes) {
      const own = { ...note, schema: wanted.note.schema ?? 1 }
      const result = await settled(store, document, head, wanted.value, own)
      if (result.status === 'committed') {
        terminal.out(`${document}: revision ${result.revision.number}`)
        await announcer.announce(document, result.revision)
      } else {
        finish(1)
        const why = await whyNot(store, document, head, result, 'restore again')
        terminal.err(`${terminal.style('red', 'millrace:')} ${document}: ${why}`)
      }
    }
  })
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`)
  }
}

/** @throws MR_STORE_DATA when a newer version has written what is wanted, or what is there */
async function changeOf(
  store: ConfigStore,
  backup: ParsedBackup,
  document: string,
  name: string,
): Promise<Change> {
  const wanted = headIn(backup, document)
  if (!wanted)
    throw new MillraceError('MR_BACKUP', `${name} holds no revision of ${document}, though it says so`)
  const head = await store.get(document, { fresh: true })
  checkKnown(document, wanted.note, name)
  checkKnown(document, head?.note)
  return { document, wanted, head }
}

/** Says what changes. @returns whether anything does */
function show({ terminal }: Host, { document, wanted, head }: Change): boolean {
  const isSame = head !== null && head.tombstone === wanted.tombstone && textOf(head) === textOf(wanted)
  if (isSame) {
    terminal.out(`${document}: unchanged, revision ${head.revision.number}`)
    return false
  }
  terminal.out(`--- ${document}: ${head === null ? 'nothing' : describe(head)}`)
  terminal.out(`+++ ${document}: ${describe(wanted)}, of the backup`)
  const lines = unifiedDiff(head === null ? '' : shownText(head), shownText(wanted))
  if (lines.length > 0) terminal.out(lines.join('\n'))
  return true
}

const dataIn = (document: Document): unknown =>
  document.document === configDocument ? dataBefore(document) : jsonOf(document)

/** All of it, to be compared. */
function textOf(document: Document): string {
  return document.tombstone ? '' : yamlOf(dataIn(document))
}

/** For a screen. */
function shownText(document: Document): string {
  return document.tombstone ? '' : shownYaml(dataIn(document))
}

/** Other documents are JSON as a rule; what is none is known by its sum. */
function jsonOf(document: Document): unknown {
  try {
    return JSON.parse(Buffer.from(document.value ?? []).toString())
  } catch {
    return sumOf(document)
  }
}
