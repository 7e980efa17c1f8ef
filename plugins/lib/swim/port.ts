/** What the protocol is given, and what it tells. */
import type { SwimSettings } from './settings.ts'
import type { SwimMember } from './table.ts'
import type { MemberState, News } from './wire.ts'

export interface SwimPort {
  /** One datagram; it may be lost. */
  send(address: string, packet: Uint8Array): void
  /** Brings a whole state to another, which answers with its own: `merge` it. May fail. */
  exchange(address: string, state: Uint8Array): void
  /** What is thought of a member has become another. @param before undefined: it is new */
  changed(member: SwimMember, before: MemberState | undefined): void
  /** A change was announced that was not heard of before. */
  news(news: News): void
  /** Another node has this one's id. */
  namesake(address: string): void
}

export interface SwimDeps {
  readonly self: { readonly id: string; readonly boot: string; readonly address: string }
  readonly settings: SwimSettings
  random(): number
  /** Wall clock, milliseconds. */
  wall(): number
  readonly port: SwimPort
}

/** Who has sent a packet; id and boot id are proven. */
export interface Peer {
  readonly id: string
  readonly boot: string
  readonly address: string
}
