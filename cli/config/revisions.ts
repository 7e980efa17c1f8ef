/** Revisions of the config as people see them. */
import { createHash } from 'node:crypto'
import { configDocument, configSchema, decodeConfig } from '../../core/config/sync/value.ts'
import type { ConfigStore, Document, Head } from '../../core/contracts/index.ts'
import { UsageError } from '../failure.ts'

export { shownYaml, yamlOf } from '../../core/config/shown-yaml.ts'

/** `3`, of an argument. @throws UsageError */
export function parseRevision(text: string): number {
  const number = Number(text)
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(number) && number >= 1) return number
  throw new UsageError(
    `expected a revision, a number from 1 (millrace config history shows them), not ${text}`,
  )
}

/** @throws UsageError when it is not there */
export async function readRevision(store: ConfigStore, number: number | undefined): Promise<Document> {
  if (number === undefined) {
    const head = await store.get(configDocument, { fresh: true })
    if (head) return head
    throw new UsageError('the store holds no config of this fleet yet: millrace config apply FILE')
  }
  const [found] = await store.history(configDocument, { before: number + 1, limit: 1 })
  const document =
    found?.revision.number === number ? await store.revision(configDocument, found.revision) : null
  if (document) return document
  const all = await store.history(configDocument)
  const kept = all.length === 0 ? 'none yet' : `${all.at(-1)?.revision.number} to ${all[0].revision.number}`
  throw new UsageError(`revision ${number} is not kept; there is ${kept}`)
}

/** What it holds. @throws MR_STORE_DATA */
export const dataOf = ({ value, note }: Document): unknown => decodeConfig(value, note.schema ?? 1)

/** What is to be replaced; what cannot be understood is known by its sum, and replaced too. @throws MR_STORE_DATA of a newer version */
export function dataBefore(head: Document): unknown {
  try {
    return dataOf(head)
  } catch (error) {
    if ((head.note.schema ?? 1) > configSchema) throw error
    return sumOf(head)
  }
}

export function sumOf({ value }: Document): string {
  const bytes = value ?? new Uint8Array()
  return `(${bytes.length} bytes, SHA-256 ${createHash('sha256').update(bytes).digest('hex')})`
}

/** `revision 3 by ann@host at 2026-01-02T03:04:05Z: more backends` */
export function describe(head: Head): string {
  const { revision, note, at, tombstone } = head
  const what = tombstone ? ' (removed)' : ''
  const why = note.message === undefined ? '' : `: ${oneLine(note.message)}`
  return `revision ${revision.number}${what} by ${oneLine(note.by)} at ${timeOf(at)}${why}`
}

export function timeOf(at: number): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Notes are others' text: nothing in them moves the cursor of a terminal. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is taken out
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
}
