/** Documents in a store file. Every function runs within a transaction of its caller. */
import { randomUUID } from 'node:crypto'
import type { Head, PutResult, Revision, RevisionRef } from 'millrace'
import type { Change, StoredDocument, WriteArguments } from './messages.ts'
import type { Connection } from './store-file.ts'

/** As {@link historyLimits} of the contract; types are all that this thread imports of millrace. */
const kept = { revisions: 100, bytes: 16 * 1024 * 1024 } as const

const headColumns =
  'r.document, r.number, r.id, r.parent, r.tombstone, r.writer, r.message, r.schema, r.at, r.bytes'
const heads = `SELECT ${headColumns} FROM documents d JOIN revisions r USING (fleet, document, number) WHERE d.fleet = ?`
/** Sorts behind every character of a name. */
const afterNames = '\x7f'

type Row = Record<string, unknown>

/** The fleet's line of history; begun here if this is its first write. */
export function lineageOf(connection: Connection, fleet: string): string {
  // Not the injected randomness: two stores must never have the same, whatever the seed.
  connection.run(
    'INSERT INTO fleets (fleet, lineage, tokens, changes) VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING',
    fleet,
    randomUUID(),
  )
  return knownLineage(connection, fleet)!
}

export function knownLineage(connection: Connection, fleet: string): string | undefined {
  return connection.row('SELECT lineage FROM fleets WHERE fleet = ?', fleet)?.lineage as string | undefined
}

export function getDocument(connection: Connection, fleet: string, document: string): StoredDocument | null {
  const row = connection.row(
    `${heads.replace('r.bytes', 'r.bytes, r.value')} AND d.document = ?`,
    fleet,
    document,
  )
  return row ? documentOf(row) : null
}

export function listHeads(connection: Connection, fleet: string, prefix: string): Head[] {
  return connection
    .rows(
      `${heads} AND d.document >= ? AND d.document < ? ORDER BY d.document`,
      fleet,
      prefix,
      prefix + afterNames,
    )
    .map(headOf)
}

export function listUnannounced(connection: Connection, fleet: string): Head[] {
  return connection.rows(`${heads} AND d.number > d.announced ORDER BY d.document`, fleet).map(headOf)
}

export function putDocument(connection: Connection, fleet: string, write: WriteArguments): PutResult {
  const { document, expect, writeId } = write
  const written = connection.row(
    'SELECT number, id, parent FROM revisions WHERE fleet = ? AND document = ? AND id = ?',
    fleet,
    document,
    writeId,
  )
  if (written) return { status: 'committed', revision: revisionOf(written) }
  const head = connection.row(`${heads} AND d.document = ?`, fleet, document)
  if (head?.number !== expect?.number || head?.id !== expect?.id)
    return { status: 'conflict', head: head ? headOf(head) : null }
  const revision = { number: (expect?.number ?? 0) + 1, id: writeId, parent: expect?.id }
  insert(connection, fleet, write, revision)
  trim(connection, fleet, document)
  return { status: 'committed', revision }
}

export function listHistory(
  connection: Connection,
  fleet: string,
  document: string,
  before: number,
  limit: number,
): Head[] {
  return connection
    .rows(
      `SELECT ${headColumns} FROM revisions r WHERE fleet = ? AND document = ? AND number < ? ORDER BY number DESC LIMIT ?`,
      fleet,
      document,
      before,
      limit,
    )
    .map(headOf)
}

export function getRevision(
  connection: Connection,
  fleet: string,
  document: string,
  number: number,
  id: string,
): StoredDocument | null {
  const row = connection.row(
    `SELECT ${headColumns}, r.value FROM revisions r WHERE fleet = ? AND document = ? AND number = ? AND id = ?`,
    fleet,
    document,
    number,
    id,
  )
  return row ? documentOf(row) : null
}

export function markAnnounced(
  connection: Connection,
  fleet: string,
  document: string,
  { number, id }: RevisionRef,
): void {
  connection.run(
    `UPDATE documents SET announced = ?3 WHERE fleet = ?1 AND document = ?2 AND announced < ?3
     AND EXISTS (SELECT 1 FROM revisions WHERE fleet = ?1 AND document = ?2 AND number = ?3 AND id = ?4)`,
    fleet,
    document,
    number,
    id,
  )
}

/** Number of the fleet's last write. */
export function lastChange(connection: Connection, fleet: string): number {
  return (connection.row('SELECT changes FROM fleets WHERE fleet = ?', fleet)?.changes ?? 0) as number
}

/** What was written after the change `since`, and the last change. */
export function changesSince(
  connection: Connection,
  fleet: string,
  since: number,
): { readonly changes: Change[]; readonly last: number } {
  const last = lastChange(connection, fleet)
  // A file with less of a past was put in its place: all of it may be new.
  const from = last < since ? 0 : since
  const rows = connection.rows(
    'SELECT document, number, id FROM documents WHERE fleet = ? AND change > ? ORDER BY change',
    fleet,
    from,
  )
  const changes = rows.map(({ document, number, id }) => ({
    document: document as string,
    revision: { number: number as number, id: id as string },
  }))
  return { changes, last }
}

/** The revision, its history and its event: one transaction. */
function insert(connection: Connection, fleet: string, write: WriteArguments, revision: Revision): void {
  const { document, value, by, message, schema, at } = write
  const { number, id, parent } = revision
  lineageOf(connection, fleet)
  const change = connection.row(
    'UPDATE fleets SET changes = changes + 1 WHERE fleet = ? RETURNING changes',
    fleet,
  )?.changes as number
  connection.run(
    `INSERT INTO revisions (fleet, document, number, id, parent, tombstone, writer, message, schema, at, bytes, value)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[fleet, document, number, id, parent ?? null, value === null ? 1 : 0, by, message ?? null, schema, at],
    value?.byteLength ?? 0,
    value,
  )
  connection.run(
    `INSERT INTO documents (fleet, document, number, id, announced, change) VALUES (?, ?, ?, ?, 0, ?)
     ON CONFLICT DO UPDATE SET number = excluded.number, id = excluded.id, change = excluded.change`,
    ...[fleet, document, number, id, change],
  )
}

/** Drops what is over both limits of the history. */
function trim(connection: Connection, fleet: string, document: string): void {
  connection.run(
    `DELETE FROM revisions WHERE fleet = ?1 AND document = ?2 AND number <= (
       SELECT max(number) FROM (
         SELECT number, row_number() OVER newest AS place, sum(bytes) OVER newest - bytes AS newer
         FROM revisions WHERE fleet = ?1 AND document = ?2 WINDOW newest AS (ORDER BY number DESC)
       ) WHERE place > ?3 OR newer >= ?4)`,
    fleet,
    document,
    kept.revisions,
    kept.bytes,
  )
}

const revisionOf = ({ number, id, parent }: Row): Revision => ({
  number: number as number,
  id: id as string,
  parent: (parent ?? undefined) as string | undefined,
})

function headOf(row: Row): Head {
  const { document, tombstone, writer, message, schema, at, bytes } = row
  return {
    document: document as string,
    revision: revisionOf(row),
    tombstone: tombstone === 1,
    note: {
      by: writer as string,
      ...(message === null ? {} : { message: message as string }),
      schema: schema as number,
    },
    at: at as number,
    bytes: bytes as number,
  }
}

/** SQLite may read bytes of length 0 as null. */
function documentOf(row: Row): StoredDocument {
  const head = headOf(row)
  return { ...head, value: head.tombstone ? null : ((row.value as Uint8Array | null) ?? new Uint8Array(0)) }
}
