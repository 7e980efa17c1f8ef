/** Reads a backup out of a store: the newest revisions of the documents that people write, and their history. */
import type { ConfigStore, Document, Head, RevisionRef } from '../../contracts/config-store.ts'
import { MillraceError } from '../../host/errors.ts'
import { type BackupHeader, encodeBackup, parseBackup } from './format.ts'

/** What the nodes write of themselves (records, leases, health) is of now, and wrong tomorrow. */
export const backedUp: readonly string[] = ['config', 'overrides']

/** The backup that an incremental one goes on from. */
export interface Base {
  readonly name: string
  readonly lineage: string
  readonly heads: Readonly<Record<string, RevisionRef>>
}

export interface Backup {
  readonly name: string
  readonly header: BackupHeader
  readonly bytes: Buffer
  readonly revisions: number
  readonly sha256: string
}

export interface Taking {
  readonly store: Pick<ConfigStore, 'lineage' | 'heads' | 'history' | 'revision'>
  readonly fleet: string
  /** Wall clock, milliseconds. */
  readonly at: number
  /** Absent: a full backup. One that the store does not go on from (it is another one now, or has forgotten that
   * revision) makes it full too. */
  readonly base?: Base
  /** Gives it up, with its reason. */
  readonly signal?: AbortSignal
}

/**
 * @returns undefined when the store holds none of the documents
 * @throws MR_STORE_*; MR_BACKUP when the store was replaced in the middle
 */
export async function takeBackup(taking: Taking): Promise<Backup | undefined> {
  const { store, fleet, at, base } = taking
  const all = await store.heads('', { fresh: true })
  const heads = all.filter(({ document }) => backedUp.includes(document))
  // Before the lineage: to ask for that begins one.
  if (heads.length === 0) return undefined
  const lineage = await store.lineage()
  const since = base && base.lineage === lineage && (await goesOn(store, heads, base)) ? base : undefined
  const documents: Document[] = []
  for (const head of heads) documents.push(...(await read(taking, head, since?.heads[head.document])))
  if ((await store.lineage()) !== lineage)
    throw new MillraceError('MR_BACKUP', 'the store was replaced by another while it was read; try again')
  const header: BackupHeader = {
    format: 'millrace-backup',
    version: 1,
    kind: since ? 'incremental' : 'full',
    ...{ fleet, lineage, at },
    heads: Object.fromEntries(heads.map(({ document, revision }) => [document, refOf(revision)])),
    ...(since && { base: { name: since.name, heads: { ...since.heads } } }),
  }
  const name = nameOf(header)
  const bytes = encodeBackup(header, documents)
  // What is written is what can be read.
  const { sha256 } = parseBackup(bytes, name)
  return { name, header, bytes, revisions: documents.length, sha256 }
}

export const baseOf = ({ name, header: { lineage, heads } }: Pick<Backup, 'name' | 'header'>): Base => ({
  ...{ name, lineage, heads },
})

const refOf = ({ number, id }: RevisionRef): RevisionRef => ({ number, id })

/** Whether the heads of the base are still in the history of what is there now. */
async function goesOn(store: Taking['store'], heads: readonly Head[], base: Base): Promise<boolean> {
  for (const [document, { number, id }] of Object.entries(base.heads)) {
    if (!heads.some((head) => head.document === document)) return false
    const [found] = await store.history(document, { before: number + 1, limit: 1 })
    if (found?.revision.id !== id) return false
  }
  return true
}

/** The head, and what lies between it and `since`, the newest first. What the store has dropped meanwhile is left out. */
async function read(
  { store, signal }: Taking,
  head: Head,
  since: RevisionRef | undefined,
): Promise<Document[]> {
  const { document } = head
  const newest = await store.revision(document, head.revision)
  if (!newest) throw new MillraceError('MR_BACKUP', `${document} was replaced while it was read; try again`)
  const found = [newest]
  const kept = await store.history(document, { before: head.revision.number, limit: 1_000_000 })
  for (const { revision } of kept) {
    if (revision.number <= (since?.number ?? 0)) break
    signal?.throwIfAborted()
    const older = await store.revision(document, revision)
    if (!older) break
    found.push(older)
  }
  return found
}

/** `millrace-default-2026-01-02T03-04-05-678Z-full.ndjson`: sorts by time. */
export function nameOf({ fleet, at, kind }: Pick<BackupHeader, 'fleet' | 'at' | 'kind'>): string {
  return `millrace-${fleet}-${new Date(at).toISOString().replace(/[:.]/g, '-')}-${kind}.ndjson`
}

/** Which kind of backup of the fleet a file name says it is. */
export function kindOfName(name: string, fleet: string): BackupHeader['kind'] | undefined {
  const start = `millrace-${fleet}-`
  if (!name.startsWith(start)) return undefined
  const [, kind] =
    /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z-(full|incremental)\.ndjson$/.exec(name.slice(start.length)) ?? []
  return kind as BackupHeader['kind'] | undefined
}
