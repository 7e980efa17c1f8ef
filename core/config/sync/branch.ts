/** Whether what the store holds now goes on from what was seen before. It does not after a failover that has lost writes, or
 * when a backup was put in the store's place. */
import type { ConfigStore, Head } from '../../contracts/config-store.ts'
import type { RevisionAt } from './state.ts'

export type Relation =
  | { readonly kind: 'same' }
  | { readonly kind: 'next' }
  | { readonly kind: 'fork'; readonly reason: string }

const fork = (reason: string): Relation => ({ kind: 'fork', reason })

/** @throws MR_STORE_* when history has to be read and cannot */
export async function relate(
  store: Pick<ConfigStore, 'history'>,
  seen: RevisionAt | undefined,
  head: Head,
  lineage: string,
): Promise<Relation> {
  const { number, id, parent } = head.revision
  if (seen === undefined) return { kind: 'next' }
  if (lineage !== seen.lineage) return fork('the store has another lineage: another store, or a restored one')
  if (number < seen.number)
    return fork(`the store is at revision ${number}, and had been at ${seen.number}: it has lost writes`)
  if (number === seen.number)
    return id === seen.id ? { kind: 'same' } : fork(`revision ${number} has become another one`)
  const before = number === seen.number + 1 ? parent : await idOf(store, head.document, seen.number)
  // A history that no longer reaches back so far says nothing against it.
  if (before === undefined || before === seen.id) return { kind: 'next' }
  return fork(`revision ${number} does not go on from revision ${seen.number} as it was seen here`)
}

async function idOf(
  store: Pick<ConfigStore, 'history'>,
  document: string,
  number: number,
): Promise<string | undefined> {
  const [head] = await store.history(document, { before: number + 1, limit: 1 })
  return head?.revision.number === number ? head.revision.id : undefined
}
