/** The field names that the proxy itself acts on, and how a parser recognises them without making a string. */

/** Ids of known fields; 0 is any other. Each is also a bit in `MessageHead.seen`. */
export const field = {
  other: 0,
  te: 1,
  via: 2,
  host: 3,
  expect: 4,
  cookie: 5,
  upgrade: 6,
  trailer: 7,
  forwarded: 8,
  connection: 9,
  keepAlive: 10,
  traceparent: 11,
  requestId: 12,
  maxForwards: 13,
  authorization: 14,
  contentLength: 15,
  http2Settings: 16,
  forwardedFor: 17,
  proxyConnection: 18,
  forwardedHost: 19,
  transferEncoding: 20,
  forwardedProto: 21,
  date: 22,
} as const

export const fieldCount = 23

const names: readonly [id: number, name: string][] = [
  [field.te, 'te'],
  [field.via, 'via'],
  [field.host, 'host'],
  [field.expect, 'expect'],
  [field.cookie, 'cookie'],
  [field.upgrade, 'upgrade'],
  [field.trailer, 'trailer'],
  [field.forwarded, 'forwarded'],
  [field.connection, 'connection'],
  [field.keepAlive, 'keep-alive'],
  [field.traceparent, 'traceparent'],
  [field.requestId, 'x-request-id'],
  [field.maxForwards, 'max-forwards'],
  [field.authorization, 'authorization'],
  [field.contentLength, 'content-length'],
  [field.http2Settings, 'http2-settings'],
  [field.forwardedFor, 'x-forwarded-for'],
  [field.proxyConnection, 'proxy-connection'],
  [field.forwardedHost, 'x-forwarded-host'],
  [field.transferEncoding, 'transfer-encoding'],
  [field.forwardedProto, 'x-forwarded-proto'],
  [field.date, 'date'],
]

const longest = 17
/** Length and first letter tell all known names apart (checked by a test), so one look-up finds the only candidate. */
export const candidates: Uint8Array = new Uint8Array((longest + 1) * 32)
/** Of each id, in lower case. */
export const spellings: Uint8Array[] = Array.from({ length: fieldCount }, () => new Uint8Array(0))
for (const [id, name] of names) {
  candidates[name.length * 32 + (name.charCodeAt(0) & 31)] = id
  spellings[id] = Uint8Array.from(name, (c) => c.charCodeAt(0))
}

export const knownFields: ReadonlyMap<string, number> = new Map(names.map(([id, name]) => [name, id]))

/** HOT Id of the field name at [start, end); 0 when it is not known. The bytes are tokens already. */
export function identify(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length > longest) return 0
  const id = candidates[length * 32 + (bytes[start] & 31)]
  if (id === 0) return 0
  const spelling = spellings[id]
  for (let i = 0; i < length; i++) {
    const byte = bytes[start + i]
    const lower = byte >= 65 && byte <= 90 ? byte | 32 : byte
    if (lower !== spelling[i]) return 0
  }
  return id
}

/**
 * True for names that another parser could take for Content-Length or Transfer-Encoding: equal to one of them once
 * every run of `-` and `_` is a single hyphen, but not spelled like it. Called only for names that begin with c or t.
 */
export function isFramingLookalike(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 14) return false
  let folded = ''
  for (let i = start; i < end && folded.length < 18; i++) {
    const byte = bytes[i]
    if (byte !== 45 && byte !== 95) folded += String.fromCharCode(byte >= 65 && byte <= 90 ? byte | 32 : byte)
    else if (!folded.endsWith('-')) folded += '-'
  }
  return folded === 'content-length' || folded === 'transfer-encoding'
}
