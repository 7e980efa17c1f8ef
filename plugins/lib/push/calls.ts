/** What a push node says to another, as the bytes of a request and of its answer. */
import type { RevisionRef } from 'millrace'

export type Call =
  | { readonly type: 'hint'; readonly document: string; readonly revision: RevisionRef }
  /** Are you there? */
  | { readonly type: 'ring' }
  /** Ring me, at this address. */
  | { readonly type: 'callback'; readonly address: string }

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= 300

export function encodeCall(call: Call): Uint8Array {
  if (call.type === 'ring') return Buffer.from('["ring"]')
  const rest = call.type === 'hint' ? [call.document, call.revision.number, call.revision.id] : [call.address]
  return Buffer.from(JSON.stringify([call.type, ...rest]))
}

/** @throws Error when it is not understood */
export function decodeCall(bytes: Uint8Array): Call {
  const list: unknown = JSON.parse(Buffer.from(bytes).toString())
  const [type, first, number, id] = Array.isArray(list) ? list : []
  if (type === 'ring') return { type }
  if (type === 'callback' && isText(first)) return { type, address: first }
  if (type === 'hint' && isText(first) && Number.isSafeInteger(number) && isText(id))
    return { type, document: first, revision: { number, id } }
  throw new Error('a call that is not understood')
}

const yes = 'yes'
export const answer = (is: boolean): Uint8Array => Buffer.from(is ? yes : 'no')
export const isYes = (bytes: Uint8Array): boolean => Buffer.from(bytes).toString() === yes
