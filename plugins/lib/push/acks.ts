/** Who has which revision, as the nodes' own records say it. */
import type { ConfigStore, RevisionRef } from 'millrace'

interface Report {
  readonly applied?: Partial<RevisionRef> | null
  readonly nack?: Partial<RevisionRef> | null
}

/**
 * Whether a node has applied or refused a revision of `config`, or a later one. Undefined: its record does not say, or the document is
 * another: nodes report of `config` only.
 */
export async function hasTaken(
  store: ConfigStore | undefined,
  node: string,
  document: string,
  revision: RevisionRef,
): Promise<boolean | undefined> {
  if (document !== 'config' || !store) return undefined
  const value = (await store.get(`node/${node}`))?.value
  const report = reportOf(value)
  if (!report) return undefined
  const { applied, nack } = report
  return (applied?.number ?? 0) >= revision.number || nack?.id === revision.id
}

function reportOf(value: Uint8Array | null | undefined): Report | undefined {
  if (!value) return undefined
  try {
    const record: unknown = JSON.parse(Buffer.from(value).toString())
    const report = (record as { config?: unknown } | null)?.config
    return typeof report === 'object' && report !== null ? report : undefined
  } catch {
    return undefined
  }
}
