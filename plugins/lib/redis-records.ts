/** Revisions as the Redis store keeps them, and the limits of what is put into it. */
import { type Document, type Head, maxValueBytes, type WriteNote } from 'millrace'
import { storeError } from './redis-errors.ts'

const namePattern = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/
const writeIdPattern = /^[A-Za-z0-9_-]{1,64}$/

/** @throws MR_STORE_LIMIT */
export function checkName(name: string): void {
  if (name.length > 200 || !namePattern.test(name))
    throw storeError(
      'MR_STORE_LIMIT',
      `${JSON.stringify(name.slice(0, 210))} is no name of a document or lease: expected 1–200 of a-z A-Z 0-9 . _ - and / between them`,
    )
}

/** @throws MR_STORE_LIMIT */
export function checkWrite(
  document: string,
  value: Uint8Array | null,
  writeId: string,
  note: WriteNote,
): void {
  checkName(document)
  const refuse = (what: string): never => {
    throw storeError('MR_STORE_LIMIT', `${document}: ${what}`)
  }
  if ((value?.byteLength ?? 0) > maxValueBytes)
    refuse(`the value has ${value?.byteLength} bytes, expected at most ${maxValueBytes}`)
  if (!writeIdPattern.test(writeId)) refuse('the id of the write is not 1–64 of A-Z a-z 0-9 _ -')
  if (note.by.length > 200) refuse('`by` of the note is longer than 200 characters')
  if ((note.message?.length ?? 0) > 1000) refuse('the message of the note is longer than 1,000 characters')
  const { schema = 1 } = note
  if (!Number.isSafeInteger(schema) || schema < 1)
    refuse(`the schema is ${schema}, expected an integer from 1`)
}

/** @throws MR_STORE_LIMIT */
export function checkLease(name: string, holder: string, ttlMs: number): void {
  checkName(name)
  if (holder.length < 1 || holder.length > 200)
    throw storeError(
      'MR_STORE_LIMIT',
      `lease ${name}: the holder has ${holder.length} characters, expected 1–200`,
    )
  if (!(ttlMs >= 100 && ttlMs <= 86_400_000))
    throw storeError('MR_STORE_LIMIT', `lease ${name}: ttlMs is ${ttlMs}, expected 100 ms to a day`)
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
