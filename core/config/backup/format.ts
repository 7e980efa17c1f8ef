/**
 * A backup as a file: lines of JSON. The first says what it is and which revisions were the newest, then comes a line for each revision,
 * the last holds the SHA-256 of all before it. A file that was cut off has no such last line; one that was changed another sum.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Document, RevisionRef } from '../../contracts/config-store.ts'
import { MillraceError } from '../../host/errors.ts'

const revisionRef = z.strictObject({ number: z.int().min(1), id: z.string().min(1) })

const headerSchema = z.strictObject({
  format: z.literal('millrace-backup'),
  version: z.literal(1),
  kind: z.enum(['full', 'incremental']),
  // It is shown to people: nothing in it moves the cursor of a terminal.
  fleet: z.string().regex(/^[A-Za-z0-9._-]+$/),
  lineage: z.string(),
  /** Wall clock, milliseconds: when it was begun. */
  at: z.number(),
  /** By document. Its line is in every backup, incremental or not: each can be restored by itself. */
  heads: z.record(z.string(), revisionRef),
  /** What an incremental one goes on from. */
  base: z.strictObject({ name: z.string(), heads: z.record(z.string(), revisionRef) }).optional(),
})

const recordSchema = z.strictObject({
  document: z.string().min(1),
  number: z.int().min(1),
  id: z.string().min(1),
  parent: z.string().optional(),
  note: z.strictObject({
    by: z.string(),
    message: z.string().optional(),
    schema: z.int().min(1).optional(),
  }),
  at: z.number(),
  /** Base64; null: a tombstone. */
  value: z.base64().nullable(),
})

const endSchema = z.strictObject({ end: z.literal(true), revisions: z.int().min(0), sha256: z.string() })

export type BackupHeader = z.output<typeof headerSchema>
type BackupRecord = z.output<typeof recordSchema>

export interface ParsedBackup {
  readonly header: BackupHeader
  /** The newest of each document first. */
  readonly revisions: readonly Document[]
  readonly sha256: string
}

const newline = 0x0a

export function encodeBackup(header: BackupHeader, revisions: readonly Document[]): Buffer {
  const lines = [header, ...revisions.map(recordOf)].map((line) => `${JSON.stringify(line)}\n`)
  const body = Buffer.from(lines.join(''))
  const end = { end: true, revisions: revisions.length, sha256: sumOf(body) }
  return Buffer.concat([body, Buffer.from(`${JSON.stringify(end)}\n`)])
}

/**
 * @param name of the file, for messages
 * @throws MR_BACKUP when it is none, is damaged, or is a newer version's
 */
export function parseBackup(bytes: Buffer, name: string): ParsedBackup {
  const refuse = (why: string): never => {
    throw new MillraceError('MR_BACKUP', `${name}: ${why}`)
  }
  if (bytes.length === 0) refuse('the backup is empty')
  const [first] = linesOf(bytes.subarray(0, 65_536))
  const { format, version } = asRecord(jsonOf(first))
  if (format !== 'millrace-backup' && !first.startsWith('{"format":"millrace-backup"'))
    refuse('this is no backup of millrace')
  if (typeof version === 'number' && version > 1)
    refuse(`the backup is of version ${version}, and this millrace reads version 1: use a newer one`)
  const last = bytes.lastIndexOf(newline, bytes.length - 2) + 1
  const end = endSchema.safeParse(jsonOf(bytes.subarray(last).toString()))
  if (!end.success || bytes.at(-1) !== newline)
    return refuse('the backup is cut off: its last line is missing')
  const body = bytes.subarray(0, last)
  const { sha256, revisions: count } = end.data
  if (sumOf(body) !== sha256)
    refuse('the checksum of the backup is wrong: it was changed or damaged after it was written')
  const [head, ...rest] = linesOf(body).map(jsonOf)
  const header = headerSchema.safeParse(head)
  const records = z.array(recordSchema).length(count).safeParse(rest)
  if (!header.success || !records.success) return refuse('the backup cannot be understood')
  return { header: header.data, revisions: records.data.map(documentOf), sha256 }
}

/** The newest revision of a document in it. */
export function headIn(backup: ParsedBackup, document: string): Document | undefined {
  const head: RevisionRef | undefined = backup.header.heads[document]
  return backup.revisions.find((one) => one.document === document && one.revision.id === head?.id)
}

const sumOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const linesOf = (bytes: Buffer): string[] => bytes.toString().replace(/\n$/, '').split('\n')

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const asRecord = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

function recordOf({ document, revision, note, at, value }: Document): BackupRecord {
  return {
    document,
    ...{ number: revision.number, id: revision.id, parent: revision.parent },
    ...{ note: { by: note.by, message: note.message, schema: note.schema }, at },
    value: value && Buffer.from(value).toString('base64'),
  }
}

function documentOf({ document, number, id, parent, note, at, value }: BackupRecord): Document {
  const bytes = value === null ? null : Buffer.from(value, 'base64')
  return {
    document,
    revision: { number, id, parent },
    tombstone: bytes === null,
    ...{ note, at, bytes: bytes?.length ?? 0, value: bytes },
  }
}
