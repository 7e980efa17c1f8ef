/** `If-Match` and `If-None-Match`: on top of which revision a change is made. RFC 9110 §13. */
import type { IncomingHttpHeaders } from 'node:http'
import type { ConfigStore, Head, RevisionRef } from '../contracts/config-store.ts'
import { ApiError } from './errors.ts'
import { etagOf, sentenceOf, viewOf } from './views.ts'

/** What the caller has seen. */
export type Expectation =
  /** Nothing was ever written: `If-None-Match: *`. */
  | { readonly kind: 'nothing' }
  /** Whatever it is, there is something: `If-Match: *`. */
  | { readonly kind: 'something' }
  | { readonly kind: 'one of'; readonly revisions: readonly Partial<RevisionRef>[] }

/** A revision by number and id, as `ETag` has it; or by its number alone, for people. */
const tagPattern = /^"?(\d{1,15})(?:-([A-Za-z0-9_-]{1,64}))?"?$/

/** @throws MR_BAD_REQUEST */
export function expectationOf(headers: IncomingHttpHeaders): Expectation | undefined {
  const match = headers['if-match']?.trim()
  const noneMatch = headers['if-none-match']?.trim()
  if (match !== undefined && noneMatch !== undefined)
    throw malformed('if-none-match', 'If-Match and If-None-Match say different things: send one of them')
  if (noneMatch !== undefined) {
    if (noneMatch === '*') return { kind: 'nothing' }
    throw malformed('if-none-match', 'expected *: the change is made only where nothing was ever written')
  }
  if (match === undefined) return undefined
  if (match === '*') return { kind: 'something' }
  const revisions = match.split(',').map((part) => {
    const [, number, id] = tagPattern.exec(part.trim()) ?? []
    if (number === undefined)
      throw malformed('if-match', 'expected the ETag of a revision, such as "3-1f0c", its number, or *')
    return { number: Number(number), id }
  })
  return { kind: 'one of', revisions }
}

function malformed(header: string, message: string): ApiError {
  return new ApiError('MR_BAD_REQUEST', message, { path: `headers.${header}` })
}

/**
 * Whether the head is what the caller expects.
 * @throws MR_REVISION_STALE, which says who has written since
 */
export async function checkExpectation(
  store: Pick<ConfigStore, 'history'>,
  document: string,
  expectation: Expectation | undefined,
  head: Head | null,
): Promise<void> {
  if (expectation === undefined || isMet(expectation, head)) return
  throw await stale(store, document, expectation, head)
}

function isMet(expectation: Expectation, head: Head | null): boolean {
  if (expectation.kind === 'nothing') return head === null
  if (head === null) return false
  if (expectation.kind === 'something') return true
  const { number, id } = head.revision
  return expectation.revisions.some((one) => one.number === number && (one.id === undefined || one.id === id))
}

/** Says who has written in between, and when. */
export async function stale(
  store: Pick<ConfigStore, 'history'>,
  document: string,
  expectation: Expectation | undefined,
  head: Head | null,
): Promise<ApiError> {
  const path = expectation?.kind === 'nothing' ? 'headers.if-none-match' : 'headers.if-match'
  if (head === null) {
    const message = `there is no ${document} in the store yet, and a revision of it was expected`
    return new ApiError('MR_REVISION_STALE', message, { path, hint: 'send If-None-Match: * to begin it' })
  }
  const seen =
    expectation?.kind === 'one of' ? Math.max(...expectation.revisions.map(({ number = 0 }) => number)) : 0
  const all = (await store.history(document, { limit: 20 })).map(viewOf)
  const since = all.filter(({ revision }) => revision > seen)
  // The same number with another id: the store has forked.
  const between = since.length > 0 ? since : [viewOf(head)]
  const began = seen === 0 ? 'something has been written already' : `this began from revision ${seen}`
  const [newest] = between
  return new ApiError(
    'MR_REVISION_STALE',
    `${document}: ${began}, and the newest is ${newest ? sentenceOf(newest) : etagOf(head.revision)}; nothing was changed`,
    { path, between, hint: `read it, and send If-Match: ${etagOf(head.revision)}` },
  )
}
