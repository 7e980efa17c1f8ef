/**
 * Heads out: what is kept of a received head, plus what we add (RFC 9110 §7.6). A head is built as one latin1 string from
 * slices of the received one, because one string write of head and small body is what costs the kernel least calls.
 */
import { field } from './fields.ts'
import { type MessageHead, stride } from './head.ts'

/** Fields of one hop only (RFC 9110 §7.6.1), which are never forwarded. */
const hopByHop =
  (1 << field.connection) |
  (1 << field.keepAlive) |
  (1 << field.proxyConnection) |
  (1 << field.te) |
  (1 << field.upgrade) |
  (1 << field.transferEncoding) |
  (1 << field.http2Settings)

/** What a request's own forwarding fields are: the peer's are replaced by ours. */
export const forwardingFields =
  (1 << field.forwarded) |
  (1 << field.forwardedFor) |
  (1 << field.forwardedHost) |
  (1 << field.forwardedProto)

/** Names listed in Connection, lower case; undefined when there are none but `close`, `keep-alive` and the known ones. */
export function nominatedNames(head: MessageHead): string[] | undefined {
  if (!head.has(field.connection) || head.plainConnection) return undefined
  // Nearly all that is ever said.
  if (head.onlyValueIs(field.connection, 'keep-alive') || head.onlyValueIs(field.connection, 'close'))
    return undefined
  const names = head
    .joined(field.connection)
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'close' && name !== 'keep-alive')
  return names.length > 0 ? names : undefined
}

/** True when the comma-separated value holds the token, in any case. */
export function hasToken(value: string, token: string): boolean {
  if (value === token) return true
  const lower = value.toLowerCase()
  if (lower === token) return true
  if (!lower.includes(token)) return false
  return lower.split(',').some((part) => part.trim() === token)
}

/** Fields that a nomination in Connection cannot remove: without them the message would mean something else. */
const unremovable = new Set(['host', 'content-length', 'transfer-encoding'])

/**
 * HOT The field lines of a head that are forwarded, each with its CRLF, case and order kept.
 *
 * @param drop bits of known fields to leave out besides the hop-by-hop ones
 * @param nominated names that Connection lists
 * @param from 0: with the start line as it came
 */
export function keptFields(
  head: MessageHead,
  drop: number,
  nominated: readonly string[] | undefined,
  from = head.fieldsStart,
): string {
  const dropped = drop | hopByHop
  const text = head.text
  const end = head.length - 2
  if ((head.seen & dropped) === 0 && nominated === undefined) return text.slice(from, end)
  let kept = ''
  let runStart = from
  for (let i = 0; i < head.count; i++) {
    const id = head.ids[i]
    const at = i * stride
    let remove = (dropped & (1 << id)) !== 0 && id !== 0
    if (!remove && nominated !== undefined) {
      const name = text.slice(head.at[at], head.at[at + 1]).toLowerCase()
      remove = nominated.includes(name) && !unremovable.has(name)
    }
    if (!remove) continue
    const lineStart = head.at[at]
    if (lineStart > runStart) kept += text.slice(runStart, lineStart)
    runStart = i + 1 < head.count ? head.at[at + stride] : end
  }
  return runStart < end ? kept + text.slice(runStart, end) : kept
}
