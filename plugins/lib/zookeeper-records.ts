/** Revisions as the ZooKeeper store keeps them. */
import { type Document, type Head, historyLimits, type Revision, type WriteNote } from 'millrace'
import { storeError } from './zookeeper-errors.ts'
import { objectIn } from './zookeeper-tree.ts'

/** A server takes messages of 1,048,575 bytes; each part of a value is a message, with its path. */
const partBytes = 1_000_000

/** A revision without its value, and the node that it is in. */
export interface Stored {
  readonly node: string
  readonly head: Head
}

/** A revision before the head. */
export interface Kept {
  readonly node: string
  readonly id: string
  readonly bytes: number
}

/** What the node of a document holds: written as a whole, so that a change, its history and its event are one step. */
export interface StoredHead extends Stored {
  /** The newest first, without gaps: of number n-1, n-2 … */
  readonly kept: readonly Kept[]
}

export const partsOf = (bytes: number): number => Math.ceil(bytes / partBytes)

export function splitValue(value: Uint8Array): Buffer[] {
  const whole = Buffer.from(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength)
  return Array.from({ length: partsOf(whole.length) }, (_, part) =>
    whole.subarray(part * partBytes, (part + 1) * partBytes),
  )
}

/** @throws MR_STORE_DATA where it is not whole */
export function documentOf({ head }: Stored, parts: readonly Buffer[]): Document {
  if (head.tombstone) return { ...head, value: null }
  const value = parts.length === 1 ? parts[0] : Buffer.concat(parts)
  if (value.length !== head.bytes)
    throw storeError(
      'MR_STORE_DATA',
      `the value of revision ${head.revision.number} of ${head.document} has ${value.length} bytes, expected ${head.bytes}`,
    )
  return { ...head, value }
}

/** What the head is replaced by, and what is not kept any longer. */
export function headAfter(
  before: StoredHead | undefined,
  next: Stored,
): { head: StoredHead; dropped: Kept[] } {
  const all = before
    ? [{ node: before.node, id: before.head.revision.id, bytes: before.head.bytes }, ...before.kept]
    : []
  let { bytes } = next.head
  let count = 0
  while (count < all.length && count + 1 < historyLimits.revisions && bytes < historyLimits.bytes)
    bytes += all[count++].bytes
  return { head: { ...next, kept: all.slice(0, count) }, dropped: all.slice(count) }
}

export function recordText({ node, head }: Stored): Buffer {
  return Buffer.from(JSON.stringify(recordOf(node, head)))
}

export function headText({ node, head, kept }: StoredHead): Buffer {
  const before = kept.map((one) => [one.node, one.id, one.bytes])
  return Buffer.from(JSON.stringify({ ...recordOf(node, head), kept: before }))
}

/** @returns undefined for a document that was never written. @throws MR_STORE_DATA */
export function readHead(document: string, data: Buffer): StoredHead | undefined {
  if (data.length === 0) return undefined
  const found = objectIn(data)
  const stored = found && storedIn(document, found)
  const list = found?.kept
  const kept = Array.isArray(list) ? list.map(keptIn) : [undefined]
  if (!stored || !kept.every((one) => one !== undefined))
    throw storeError('MR_STORE_DATA', `the head of ${document} cannot be read`)
  return { ...stored, kept }
}

/** @throws MR_STORE_DATA */
export function readRecord(document: string, data: Buffer): Stored {
  const found = objectIn(data)
  const stored = found && storedIn(document, found)
  if (!stored) throw storeError('MR_STORE_DATA', `the record of a revision of ${document} cannot be read`)
  return stored
}

/** Its name begins with the number of the revision. */
export const numberOf = (node: string): number => Number.parseInt(node, 10)

function recordOf(node: string, { revision, tombstone, note, at, bytes }: Head): object {
  return { node, ...revision, tombstone, note, at, bytes }
}

function storedIn(document: string, found: Readonly<Record<string, unknown>>): Stored | undefined {
  const { node, number, id, parent, tombstone, note, at, bytes } = found
  const whole = [number, at, bytes].every(Number.isSafeInteger)
  if (!whole || typeof node !== 'string' || typeof id !== 'string' || typeof tombstone !== 'boolean')
    return undefined
  if (!isNote(note) || (parent !== undefined && typeof parent !== 'string')) return undefined
  const revision: Revision = { number: number as number, id, parent }
  return { node, head: { document, revision, tombstone, note, at: at as number, bytes: bytes as number } }
}

function keptIn(found: unknown): Kept | undefined {
  if (!Array.isArray(found)) return undefined
  const [node, id, bytes] = found as unknown[]
  if (typeof node !== 'string' || typeof id !== 'string' || !Number.isSafeInteger(bytes)) return undefined
  return { node, id, bytes: bytes as number }
}

const isNote = (value: unknown): value is WriteNote =>
  typeof value === 'object' && value !== null && typeof (value as WriteNote).by === 'string'
