/** How often and how long, in milliseconds. Defaults of memberlist for a LAN (HashiCorp), in multiples of one probe. */

export interface SwimSettings {
  /** One member is asked in each of these (SWIM: the protocol period). */
  readonly probeMs: number
  /** After so long without its answer others are asked to ask it. */
  readonly timeoutMs: number
  /** How many others. */
  readonly indirect: number
  /** A suspect is dead after this × max(1, log10 of the members) × `probeMs`. */
  readonly suspicion: number
  /** News is passed on this × ⌈log10(members + 1)⌉ times by each, and twice `fanout` at least. */
  readonly retransmit: number
  /** How often news is sent where no probe carries it, and to how many at once. */
  readonly gossipMs: number
  readonly fanout: number
  /** How often all is compared with one other; slower in fleets of more than 32. */
  readonly exchangeMs: number
  /** How often one that is not heard is looked for. */
  readonly rejoinMs: number
  /** A dead member is told so for as long, in case it lives. */
  readonly remindMs: number
  /** Dead for longer: forgotten. */
  readonly forgetMs: number
}

export function swimSettings(probeMs: number): SwimSettings {
  return {
    probeMs,
    timeoutMs: probeMs / 2,
    indirect: 3,
    suspicion: 4,
    retransmit: 4,
    gossipMs: probeMs / 5,
    fanout: 3,
    exchangeMs: probeMs * 30,
    rejoinMs: probeMs * 5,
    remindMs: probeMs * 30,
    forgetMs: probeMs * 600,
  }
}

export function suspicionMs({ suspicion, probeMs }: SwimSettings, members: number): number {
  return suspicion * Math.max(1, Math.log10(members)) * probeMs
}

/** In small fleets the formula gives little more than one round, which some may miss. */
export function retransmitLimit({ retransmit, fanout }: SwimSettings, members: number): number {
  return Math.max(2 * fanout, retransmit * Math.ceil(Math.log10(members + 1)))
}

/** memberlist: in fleets of more than 32 each doubling adds one interval. */
export function exchangeMs(settings: SwimSettings, members: number): number {
  const slower = members <= 32 ? 1 : Math.ceil(Math.log2(members) - 5) + 1
  return settings.exchangeMs * slower
}
