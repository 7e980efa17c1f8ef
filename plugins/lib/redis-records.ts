/** Revisions as the Redis store keeps them, and what it limits beyond the contract. */
import type { Document, Head, WriteNote } from 'millrace'
import { storeError } from './redis-errors.ts'

/** Nobody new gets a lease after a restart until the longest one ever taken must be over: so none is for ever. */
const longestTtlMs = 86_400_000

/** @throws MR_STORE_LIMIT */
export function checkTtl(name: string, ttlMs: number): void {
  if (!(ttlMs <= longestTtlMs))
    throw storeError('MR_STORE_LIMIT', `lease ${name}: the time to live is at most a day, not ${ttlMs} ms`)
}

export const noteText = ({ by, message, schema = 1 }: WriteNote): string =>
  JSON.stringify({ by, message, schema })

/** @throws MR_STORE_DATA */
export function headOf(document: string, record: Buffer): Head {
  const [number, id, parent, tombstone, bytes, at, ...rest] = record.toString().split('\n')
  const head = {
    document,
    revision: { number: Number(number), id, parent: parent === '' ? undefined : parent },
    tombstone: tombstone === '1',
    note: noteOf(rest.join('\n')),
    at: Number(at),
    bytes: Number(bytes),
  }
  const whole = [head.revision.number, head.at, head.bytes].every(Number.isSafeInteger)
  if (!whole || !id || head.note === undefined)
    throw storeError('MR_STORE_DATA', `the record of a revision of ${document} cannot be read`)
  return head as Head
}

/** @throws MR_STORE_DATA when value and record do not belong together */
export function documentOf(document: string, record: Buffer, value: Buffer | null): Document {
  const head = headOf(document, record)
  if (head.tombstone) return { ...head, value: null }
  if (value === null || value.length !== head.bytes)
    throw storeError(
      'MR_STORE_DATA',
      `the value of revision ${head.revision.number} of ${document} is ${value === null ? 'missing' : `${value.length} bytes long, expected ${head.bytes}`}`,
    )
  return { ...head, value }
}

/** Names and records in turn, sorted by name. */
export function headsOf(pairs: readonly Buffer[]): Head[] {
  const heads: Head[] = []
  for (let i = 0; i + 1 < pairs.length; i += 2) heads.push(headOf(pairs[i].toString(), pairs[i + 1]))
  return heads.sort((a, b) => (a.document < b.document ? -1 : 1))
}

function noteOf(text: string): WriteNote | undefined {
  try {
    const note = JSON.parse(text) as WriteNote
    return typeof note.by === 'string' ? note : undefined
  } catch {
    return undefined
  }
}
