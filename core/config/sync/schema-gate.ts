/**
 * Which schema may be written. What a newer version has written is not replaced by one that does not understand it, and nothing is
 * written that a node which lives could not read: a fleet is updated node by node, and writers may be ahead of readers or behind.
 */
import type { ConfigStore, WriteNote } from '../../contracts/config-store.ts'
import { MillraceError } from '../../host/errors.ts'
import { overridesDocument, overridesSchema } from '../overrides.ts'
import { nodePrefix } from './node-lease.ts'
import { configDocument, configSchema } from './value.ts'

/** Of every document, and of documents that this version does not know. */
const firstSchema = 1

function knownSchema(document: string): number {
  if (document === configDocument) return configSchema
  return document === overridesDocument ? overridesSchema : firstSchema
}

/**
 * @param note of a revision that is to be replaced, or to be written again; undefined: there is none
 * @param place where it is, for the message
 * @throws MR_STORE_DATA when a newer version has written it
 */
export function checkKnown(document: string, note: WriteNote | undefined, place = 'the store'): void {
  const schema = note?.schema ?? firstSchema
  const known = knownSchema(document)
  if (schema <= known) return
  throw new MillraceError(
    'MR_STORE_DATA',
    `the document ${document} of ${place} is written in schema ${schema}, and this version reads up to ${known}; update millrace here first`,
  )
}

/**
 * Asks nobody about the first schema: every version reads that.
 * @throws MR_STORE_SCHEMA when a node that holds its lease does not read it, or does not say that it does; MR_STORE_*
 */
export async function checkReaders(
  store: Pick<ConfigStore, 'get' | 'leases'>,
  document: string,
  { schema = firstSchema }: WriteNote,
): Promise<void> {
  if (schema <= firstSchema) return
  for (const { name } of await store.leases(nodePrefix)) {
    const reads = readSchema((await store.get(name, { fresh: true }))?.value ?? null, document)
    if (reads >= schema) continue
    throw new MillraceError(
      'MR_STORE_SCHEMA',
      `${document} was to be written in schema ${schema}, and ${name} reads up to ${reads}: update that node first, or end it`,
    )
  }
}

/** The newest that a node reads, as its record says it. */
function readSchema(record: Uint8Array | null, document: string): number {
  try {
    const data = JSON.parse(Buffer.from(record ?? []).toString()) as Record<string, { schema?: unknown }>
    const schema = data[document]?.schema
    return typeof schema === 'number' ? schema : firstSchema
  } catch {
    return firstSchema
  }
}
