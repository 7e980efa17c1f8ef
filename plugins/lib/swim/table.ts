/** The other members, as far as this node knows. */
import type { Claim, MemberState } from './wire.ts'

export interface SwimMember {
  readonly id: string
  boot: string
  address: string
  incarnation: number
  state: MemberState
  /** Since when it is in this state. */
  since: number
}

export interface Merged {
  readonly member: SwimMember
  /** Undefined: it is new. */
  readonly before: MemberState | undefined
  /** Id of one who is forgotten, to make room. */
  readonly evicted?: string | undefined
}

/** Of two claims about one incarnation the later in this list holds: so all come to the same, in whatever order they hear. */
const ranks: Readonly<Record<MemberState, number>> = { alive: 0, suspect: 1, dead: 2, left: 3 }

/** Members that are known at a time: a whole exchange with 100 bytes each has room for more. Beyond it nobody is real: without a
 * `fleetKey` every process of this machine may introduce whom it likes. */
export const mostMembers = 4096

export class MemberTable {
  readonly #random: () => number
  readonly #members = new Map<string, SwimMember>()
  /** Who is asked in this round, and who was already (SWIM §4.3: each once a round, in an order by chance). */
  #round: string[] = []

  constructor(random: () => number) {
    this.#random = random
  }

  get(id: string): SwimMember | undefined {
    return this.#members.get(id)
  }

  values(): IterableIterator<SwimMember> {
    return this.#members.values()
  }

  count(...states: readonly MemberState[]): number {
    let count = 0
    for (const { state } of this.#members.values()) if (states.includes(state)) count++
    return count
  }

  /** Of members in this state; without one of all. */
  addresses(wanted?: MemberState): string[] {
    const list = [...this.#members.values()]
    return list.flatMap(({ state, address }) => (wanted === undefined || state === wanted ? address : []))
  }

  /** Undefined: nothing new, or of one that nobody has introduced. */
  merge(claim: Claim, now: number): Merged | undefined {
    const { id, state, incarnation, boot, address } = claim
    const known = this.#members.get(id)
    if (!known) return this.#add(claim, now)
    const isNewer =
      incarnation > known.incarnation ||
      (incarnation === known.incarnation && ranks[state] > ranks[known.state])
    if (!isNewer) return undefined
    const before = known.state
    if (state !== before) known.since = now
    Object.assign(known, { state, incarnation, boot: boot ?? known.boot, address: address ?? known.address })
    return { member: known, before }
  }

  #add({ id, state, incarnation, boot, address }: Claim, now: number): Merged | undefined {
    // Nobody introduces one that is gone.
    if (boot === undefined || address === undefined || !isHere({ state })) return undefined
    let evicted: string | undefined
    if (this.#members.size >= mostMembers) {
      evicted = this.#goneForLongest()
      if (evicted === undefined) return undefined
      this.#members.delete(evicted)
    }
    const member = { id, boot, address, incarnation, state, since: now }
    this.#members.set(id, member)
    // Somewhere in the round that is under way, not after all others.
    if (this.#round.length < mostMembers)
      this.#round.splice(Math.floor(this.#random() * (this.#round.length + 1)), 0, id)
    return { member, before: undefined, evicted }
  }

  #goneForLongest(): string | undefined {
    let oldest: SwimMember | undefined
    for (const member of this.#members.values())
      if (!isHere(member) && (!oldest || member.since < oldest.since)) oldest = member
    return oldest?.id
  }

  forget(id: string): void {
    this.#members.delete(id)
  }

  /** Whom to ask now: everybody who is not known to be gone, once a round. */
  nextToAsk(): SwimMember | undefined {
    for (let rounds = 0; rounds < 2; rounds++) {
      for (let id = this.#round.pop(); id !== undefined; id = this.#round.pop()) {
        const member = this.#members.get(id)
        if (member && isHere(member)) return member
      }
      this.#round = this.shuffled(isHere).map(({ id }) => id)
    }
    return undefined
  }

  /** So many of those that fit, at most, by chance. */
  some(count: number, fits: (member: SwimMember) => boolean): SwimMember[] {
    return this.shuffled(fits).slice(0, count)
  }

  shuffled(fits: (member: SwimMember) => boolean): SwimMember[] {
    const list = [...this.#members.values()].filter(fits)
    for (let last = list.length - 1; last > 0; last--) {
      const other = Math.floor(this.#random() * (last + 1))
      ;[list[last], list[other]] = [list[other], list[last]]
    }
    return list
  }
}

export const isHere = ({ state }: Pick<SwimMember, 'state'>): boolean =>
  state === 'alive' || state === 'suspect'
