/** Asks the members, one a period, whether they are there (SWIM §3.1), at a pace that fits this node's own health (Lifeguard §IV.A). */
import type { Agenda } from './agenda.ts'
import type { SwimSettings } from './settings.ts'
import type { MemberTable, SwimMember } from './table.ts'
import type { Packet } from './wire.ts'

export interface ProberDeps {
  readonly agenda: Agenda
  readonly settings: SwimSettings
  readonly table: MemberTable
  random(): number
  /** @param to the id of who is there, to whom more is said than this */
  send(address: string, packet: Packet, to: string, first?: readonly string[]): void
  /** Nobody has reached it in this period. */
  unreached(member: SwimMember, now: number): void
}

interface Waiting {
  acked(): void
  nacked?(): void
}

interface Round {
  readonly seq: number
  readonly member: SwimMember
  acked: boolean
  /** Those who were asked to ask, and who said that they had no answer either. */
  asked: number
  nacks: number
}

/** What is asked for at a time, for this node and for others. Beyond it nobody is asked for: others have others to ask. */
const mostWaiting = 1000
const sickest = 8
/** A relay says within this share of the time-out that it has no answer: before the period of who asked is over. */
const nackShare = 0.8

export class Prober {
  readonly #deps: ProberDeps
  readonly #waiting = new Map<number, Waiting>()
  /** Begins anywhere: a late answer to an earlier start of this node is none to this one. */
  #seq: number
  #round: Round | undefined
  #health = 0

  constructor(deps: ProberDeps) {
    this.#deps = deps
    this.#seq = Math.floor(deps.random() * 2 ** 31)
  }

  /** 0 is well. Who hears others badly may be the sick one itself, and gives them so many times longer. */
  get health(): number {
    return this.#health
  }

  /** Something happened that speaks for (−1) or against (+1) this node's own health. */
  adjust(by: number): void {
    this.#health = Math.max(0, Math.min(sickest, this.#health + by))
  }

  /** One period: judges the last one, asks the next member. */
  probe(now: number): void {
    const { agenda, settings, table } = this.#deps
    this.#judge(now)
    const slowness = this.#health + 1
    agenda.set('probe', now + settings.probeMs * slowness, (then) => this.probe(then))
    const member = table.nextToAsk()
    if (!member) return
    const round: Round = { seq: ++this.#seq, member, acked: false, asked: 0, nacks: 0 }
    this.#round = round
    this.#waiting.set(round.seq, {
      acked: () => {
        round.acked = true
      },
      nacked: () => {
        round.nacks++
      },
    })
    this.#deps.send(member.address, { type: 'ping', seq: round.seq, target: member.id }, member.id)
    agenda.set('indirect', now + settings.timeoutMs * slowness, () => this.#askOthers(round))
  }

  /** @param answered once, if it answers within a period */
  ask(now: number, { id, address }: SwimMember, first: readonly string[], answered: () => void): void {
    const { agenda, settings, send } = this.#deps
    const seq = ++this.#seq
    const over = `ask ${seq}`
    this.#waiting.set(seq, {
      acked: () => {
        agenda.cancel(over)
        this.#waiting.delete(seq)
        answered()
      },
    })
    agenda.set(over, now + settings.probeMs, () => this.#waiting.delete(seq))
    send(address, { type: 'ping', seq, target: id }, id, first)
  }

  /** Asks for another. */
  relay(
    now: number,
    from: { readonly id: string; readonly address: string },
    packet: Packet & { type: 'relay' },
  ): void {
    const { agenda, settings, send } = this.#deps
    if (this.#waiting.size >= mostWaiting) return
    const seq = ++this.#seq
    const name = `relay ${seq}`
    this.#waiting.set(seq, {
      acked: () => {
        agenda.cancel(name)
        this.#waiting.delete(seq)
        send(from.address, { type: 'ack', seq: packet.seq }, from.id)
      },
    })
    agenda.set(name, now + settings.timeoutMs * nackShare, (then) => {
      send(from.address, { type: 'nack', seq: packet.seq }, from.id)
      // A late answer is still worth something.
      agenda.set(name, then + settings.timeoutMs, () => this.#waiting.delete(seq))
    })
    send(packet.address, { type: 'ping', seq, target: packet.target }, packet.target)
  }

  acked(seq: number): void {
    this.#waiting.get(seq)?.acked()
  }

  nacked(seq: number): void {
    this.#waiting.get(seq)?.nacked?.()
  }

  #askOthers(round: Round): void {
    const { settings, table, send } = this.#deps
    if (round.acked) return
    const { id, address } = round.member
    const others = table.some(settings.indirect, (other) => other.state === 'alive' && other.id !== id)
    round.asked = others.length
    const packet = { type: 'relay', seq: round.seq, target: id, address } as const
    for (const other of others) send(other.address, packet, other.id)
  }

  #judge(now: number): void {
    const round = this.#round
    this.#round = undefined
    if (!round) return
    this.#waiting.delete(round.seq)
    if (round.acked) {
      this.adjust(-1)
      return
    }
    // Those who said that they have no answer either were heard: then it is not this node that is deaf.
    this.adjust(round.asked > 0 ? Math.max(0, round.asked - round.nacks) : 1)
    this.#deps.unreached(round.member, now)
  }
}
