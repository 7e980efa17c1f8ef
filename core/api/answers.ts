/** How changes are answered, and noted for the audit log. */
import type { Revision } from '../contracts/config-store.ts'
import type { ConfigChanged } from './config-desk.ts'
import type { Answering, Asked } from './request.ts'
import { etagOf } from './views.ts'

export interface ChangedView {
  readonly document: string
  readonly revision: number
  readonly id: string
  readonly before: number
  readonly changed: boolean
}

/** @param target what of the document, for people */
export function changedAnswerOf(
  request: Asked,
  reply: Answering,
  document: string,
  { revision, before, changed }: ConfigChanged,
  target?: string,
): ChangedView {
  request.changed = { document, target, before, after: revision.number }
  reply.header('etag', etagOf(revision))
  return { document, revision: revision.number, id: revision.id, before, changed }
}

/** True: the client has it already, and 304 is the answer. RFC 9110 §13.1.2. */
export function isKnown(
  request: Pick<Asked, 'headers'>,
  reply: Answering,
  revision: Pick<Revision, 'number' | 'id'>,
): boolean {
  const etag = etagOf(revision)
  reply.header('etag', etag)
  const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return known?.includes(etag) ?? false
}
