/** The value of the document `config`: the dynamic half of a config as JSON, packed by gzip. What is not packed is read too. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { MillraceError } from '../../host/errors.ts'
import { canonical } from '../canonical.ts'

/** The document's name. */
export const configDocument = 'config'

/** Newest schema of the value that this version reads and writes. A writer never writes a newer one than the oldest live
 * node reads. */
export const configSchema = 1

/** A packed value may become so long and no longer: 10,000 backends are 1 % of it. */
const longestText = 64 * 1024 * 1024

/** Equal data gives equal bytes. */
export function encodeConfig(data: unknown): Uint8Array {
  return gzipSync(canonical(data))
}

/**
 * @param value `null` (the document was removed) and no bytes are an empty config
 * @throws MR_STORE_DATA
 */
export function decodeConfig(value: Uint8Array | null, schema: number): unknown {
  if (schema > configSchema)
    throw new MillraceError(
      'MR_STORE_DATA',
      `the config is written in schema ${schema}, and this version reads up to ${configSchema}; update this node first`,
    )
  if (value === null || value.byteLength === 0) return {}
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(unpacked(value)))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new MillraceError('MR_STORE_DATA', `the config in the store is no JSON, packed or not: ${why}`, {
      cause,
    })
  }
}

function unpacked(value: Uint8Array): Uint8Array {
  const isGzip = value[0] === 0x1f && value[1] === 0x8b
  return isGzip ? gunzipSync(value, { maxOutputLength: longestText }) : value
}
