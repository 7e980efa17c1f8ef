/** What nodes say to each other: JSON, short. Who says it stands in the envelope around it. */

/** A packet with its envelope, the longest names included, has at most 1,400 bytes. */
export const packetBytes = 980

export type MemberState = 'alive' | 'suspect' | 'dead' | 'left'

/** What is said of a member. Where it is stands only in what makes it known. */
export interface Claim {
  readonly state: MemberState
  readonly id: string
  readonly incarnation: number
  readonly boot?: string
  readonly address?: string
}

/** A change was announced. The stamp orders announcements of the same revision. */
export interface News {
  readonly document: string
  readonly number: number
  readonly id: string
  readonly stamp: number
}

export type Update = { readonly claim: Claim } | { readonly news: News }

/** Each carries updates as well. */
export type Packet =
  /** Are you there? */
  | { readonly type: 'ping'; readonly seq: number; readonly target: string }
  /** Ask that one for me. */
  | { readonly type: 'relay'; readonly seq: number; readonly target: string; readonly address: string }
  | { readonly type: 'ack'; readonly seq: number }
  /** I did ask, and had no answer. */
  | { readonly type: 'nack'; readonly seq: number }
  | { readonly type: 'gossip' }

/** Everything that a node knows. */
export interface WholeState {
  readonly claims: readonly Claim[]
  readonly news: readonly News[]
}

const letters = { ping: 'p', relay: 'r', ack: 'a', nack: 'n', gossip: 'g' } as const
const types = Object.fromEntries(Object.entries(letters).map(([type, letter]) => [letter, type]))
const stateLetters = { alive: 'a', suspect: 's', dead: 'd', left: 'l' } as const
const states = Object.fromEntries(Object.entries(stateLetters).map(([state, letter]) => [letter, state]))

export function encodeUpdate(update: Update): string {
  if ('news' in update) {
    const { document, number, id, stamp } = update.news
    return JSON.stringify(['n', document, number, id, stamp])
  }
  const { state, id, incarnation, boot, address } = update.claim
  const place = boot === undefined || address === undefined ? [] : [boot, address]
  return JSON.stringify([stateLetters[state], id, incarnation, ...place])
}

/** @param updates as {@link encodeUpdate} made them */
export function encodePacket(packet: Packet, updates: readonly string[]): Uint8Array {
  const head: unknown[] = [letters[packet.type]]
  if (packet.type !== 'gossip') head.push(packet.seq)
  if (packet.type === 'ping' || packet.type === 'relay') head.push(packet.target)
  if (packet.type === 'relay') head.push(packet.address)
  return Buffer.from(`[${JSON.stringify(head)},[${updates.join(',')}]]`)
}

export interface Decoded {
  readonly packet: Packet
  readonly updates: readonly Update[]
}

/** Undefined: not understood. An update that is not understood is left out: a newer node may say more. */
export function decodePacket(bytes: Uint8Array): Decoded | undefined {
  const [head, list] = arrayOf(parse(bytes))
  const packet = packetOf(arrayOf(head))
  return packet && { packet, updates: arrayOf(list).flatMap((each) => decodeUpdate(each) ?? []) }
}

function packetOf([letter, seq, target, address]: readonly unknown[]): Packet | undefined {
  const type = types[String(letter)] as Packet['type'] | undefined
  if (type === 'gossip') return { type }
  if (type === undefined || !isCount(seq)) return undefined
  if (type === 'ack' || type === 'nack') return { type, seq }
  if (!isName(target)) return undefined
  if (type === 'ping') return { type, seq, target }
  return isName(address) ? { type, seq, target, address } : undefined
}

export function encodeState({ claims, news }: WholeState): Uint8Array {
  const texts = [...claims.map((claim) => ({ claim })), ...news.map((each) => ({ news: each }))].map(
    encodeUpdate,
  )
  return Buffer.from(`[${texts.join(',')}]`)
}

export function decodeState(bytes: Uint8Array): WholeState | undefined {
  const list = parse(bytes)
  if (!Array.isArray(list)) return undefined
  const updates = list.flatMap((each) => decodeUpdate(each) ?? [])
  return {
    claims: updates.flatMap((update) => ('claim' in update ? update.claim : [])),
    news: updates.flatMap((update) => ('news' in update ? update.news : [])),
  }
}

function decodeUpdate(value: unknown): Update | undefined {
  const [letter, name, number, first, second] = arrayOf(value)
  if (!isName(name) || !isCount(number)) return undefined
  if (letter === 'n') {
    if (!isName(first) || !isCount(second)) return undefined
    return { news: { document: name, number, id: first, stamp: second } }
  }
  const state = states[String(letter)] as MemberState | undefined
  if (state === undefined) return undefined
  const place = isName(first) && isName(second) ? { boot: first, address: second } : {}
  return { claim: { state, id: name, incarnation: number, ...place } }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

const arrayOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const isName = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= 300
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
