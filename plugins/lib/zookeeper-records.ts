/**
 * Revisions as the ZooKeeper store keeps them.
 *
 * A node is lines: the record as JSON; in a head the revisions before it as JSON; then, after a line feed, the value where it is short.
 * A head of one line, with those revisions in the record, was written by an earlier version, which kept every value in parts.
 */
import { type Document, type Head, historyLimits, type Revision, type WriteNote } from 'millrace'
import { storeError } from './zookeeper-errors.ts'
import { jsonIn, objectIn } from './zookeeper-tree.ts'

/** A server takes messages of 1,048,575 bytes; each part of a value is a message, with its path. */
const partBytes = 1_000_000
/** A value up to this lies in the head itself: whoever is told of a change then has it with one read. A longer one would be in the way of
 * those who only want to know which revision it is. */
const mostInline = 16 * 1024
const lineFeed = 0x0a

/** A revision, and the node that it is in. */
export interface Stored {
  readonly node: string
  readonly head: Head
  /** Where it lies beside the record; undefined: it is in parts, or there is none. */
  readonly value?: Buffer
}

/** A revision before the head. */
export interface Kept {
  readonly node: string
  readonly id: string
  readonly bytes: number
}

/** What the node of a document holds: written as a whole, so that a change, its history and its event are one step. */
export interface StoredHead extends Stored {
  /** The newest first, without gaps: of number n-1, n-2 … They may be more than all the rest, and are read only by who needs them.
   * @throws MR_STORE_DATA */
  kept(): readonly Kept[]
}

/** How many parts its value is in. */
export const partsOf = ({ head, value }: Stored): number =>
  value === undefined ? Math.ceil(head.bytes / partBytes) : 0

/** What lies beside the record, and what is in parts. */
export function placesOf(value: Uint8Array | null): { readonly inline?: Buffer; readonly parts: Buffer[] } {
  if (value === null) return { parts: [] }
  const whole = Buffer.from(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength)
  if (whole.length <= mostInline) return { inline: whole, parts: [] }
  const parts = Array.from({ length: Math.ceil(whole.length / partBytes) }, (_, part) =>
    whole.subarray(part * partBytes, (part + 1) * partBytes),
  )
  return { parts }
}

/** @throws MR_STORE_DATA where it is not whole */
export function documentOf({ head, value: inline }: Stored, parts: readonly Buffer[]): Document {
  if (head.tombstone) return { ...head, value: null }
  const value = inline ?? (parts.length === 1 ? parts[0] : Buffer.concat(parts))
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
    ? [{ node: before.node, id: before.head.revision.id, bytes: before.head.bytes }, ...before.kept()]
    : []
  let { bytes } = next.head
  let count = 0
  while (count < all.length && count + 1 < historyLimits.revisions && bytes < historyLimits.bytes)
    bytes += all[count++].bytes
  const kept = all.slice(0, count)
  return { head: { ...next, kept: () => kept }, dropped: all.slice(count) }
}

export const recordText = ({ node, head, value }: Stored): Buffer =>
  withValue(JSON.stringify(recordOf(node, head)), value)

export function headText({ node, head, value, kept }: StoredHead): Buffer {
  const before = kept().map((one) => [one.node, one.id, one.bytes])
  return withValue(`${JSON.stringify(recordOf(node, head))}\n${JSON.stringify(before)}`, value)
}

/** @returns undefined for a document that was never written. @throws MR_STORE_DATA */
export function readHead(document: string, data: Buffer): StoredHead | undefined {
  if (data.length === 0) return undefined
  const [first, rest] = cut(data)
  const found = objectIn(first)
  const stored = found && storedIn(document, found)
  if (!stored) throw storeError('MR_STORE_DATA', `the head of ${document} cannot be read`)
  if (rest === undefined) {
    const kept = keptIn(document, found?.kept)
    return { ...stored, kept: () => kept }
  }
  const [list, value] = cut(rest)
  return { ...stored, value, kept: () => keptIn(document, jsonIn(list)) }
}

/** @throws MR_STORE_DATA */
export function readRecord(document: string, data: Buffer): Stored {
  const [first, value] = cut(data)
  const found = objectIn(first)
  const stored = found && storedIn(document, found)
  if (!stored) throw storeError('MR_STORE_DATA', `the record of a revision of ${document} cannot be read`)
  return { ...stored, value }
}

/** Its name begins with the number of the revision. */
export const numberOf = (node: string): number => Number.parseInt(node, 10)

function withValue(text: string, value: Buffer | undefined): Buffer {
  return value === undefined ? Buffer.from(text) : Buffer.concat([Buffer.from(`${text}\n`), value])
}

/** The first line, and what follows it; undefined: there is no other. */
function cut(data: Buffer): [line: Buffer, rest: Buffer | undefined] {
  const end = data.indexOf(lineFeed)
  return end < 0 ? [data, undefined] : [data.subarray(0, end), data.subarray(end + 1)]
}

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

function keptIn(document: string, list: unknown): readonly Kept[] {
  const kept = Array.isArray(list) ? list.map(keptOneIn) : [undefined]
  if (!kept.every((one) => one !== undefined))
    throw storeError('MR_STORE_DATA', `the head of ${document} cannot be read`)
  return kept
}

function keptOneIn(found: unknown): Kept | undefined {
  if (!Array.isArray(found)) return undefined
  const [node, id, bytes] = found as unknown[]
  if (typeof node !== 'string' || typeof id !== 'string' || !Number.isSafeInteger(bytes)) return undefined
  return { node, id, bytes: bytes as number }
}

const isNote = (value: unknown): value is WriteNote =>
  typeof value === 'object' && value !== null && typeof (value as WriteNote).by === 'string'
