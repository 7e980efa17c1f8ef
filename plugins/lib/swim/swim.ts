/**
 * SWIM (Das, Gupta, Motivala, DSN 2002) with suspicion (§4.2), infection-style dissemination (§4.1), a whole exchange now and
 * then (memberlist's push/pull), and Lifeguard's local health (Dadgar, Phillips, Currey, 2018) with its reminder to suspects.
 *
 * A pure state machine: packets and the time go in, packets and events come out by {@link SwimPort}. It has no clock, no socket and no
 * chance of its own, so that a fleet of any size, with any faults, runs from a seed.
 */
import { Agenda } from './agenda.ts'
import { Broadcasts } from './broadcasts.ts'
import { Bulletin } from './bulletin.ts'
import { Places } from './places.ts'
import type { Peer, SwimDeps } from './port.ts'
import { Prober } from './prober.ts'
import { exchangeMs, retransmitLimit, suspicionMs } from './settings.ts'
import { isHere, MemberTable, type SwimMember } from './table.ts'
import {
  type Claim,
  decodePacket,
  decodeState,
  encodePacket,
  encodeState,
  encodeUpdate,
  type MemberState,
  type News,
  type Packet,
  packetBytes,
  type Update,
} from './wire.ts'

const farewells = 10
/** No incarnation is raised beyond what a number can count. */
const lastIncarnation = Number.MAX_SAFE_INTEGER - 1

export class Swim {
  readonly #deps: SwimDeps
  readonly #agenda = new Agenda()
  readonly #broadcasts = new Broadcasts()
  readonly #bulletin = new Bulletin()
  readonly #table: MemberTable
  readonly #prober: Prober
  readonly #places: Places
  #incarnation: number
  #meetAgain = Number.NEGATIVE_INFINITY
  #left = false

  constructor(deps: SwimDeps) {
    this.#deps = deps
    // A later start of the same node comes after the earlier one, whatever was said of that.
    this.#incarnation = Math.max(1, Math.floor(deps.wall()))
    this.#table = new MemberTable(() => deps.random())
    this.#places = new Places(deps.self, this.#table)
    this.#prober = new Prober({
      ...{ agenda: this.#agenda, settings: deps.settings, table: this.#table },
      random: () => deps.random(),
      send: (address, packet, to, first) => this.#send(address, packet, to, first),
      unreached: ({ id, incarnation }, now) => this.#hear(now, { state: 'suspect', id, incarnation }),
    })
  }

  start(now: number): void {
    const { settings, random } = this.#deps
    const phase = (ms: number): number => now + random() * ms
    this.#agenda.set('probe', phase(settings.probeMs), (then) => this.#prober.probe(then))
    this.#agenda.set('gossip', phase(settings.gossipMs), (then) => this.#gossip(then))
    this.#agenda.set('exchange', phase(settings.exchangeMs), (then) => this.#exchange(then))
    this.#agenda.set('rejoin', now, (then) => this.#rejoin(then))
  }

  /** When {@link advance} has something to do. */
  get next(): number {
    return this.#agenda.next
  }

  advance(now: number): void {
    const late = now - this.#agenda.next
    // This node has stood still: what came meanwhile is read first, and nobody is blamed for it.
    if (late > this.#deps.settings.probeMs) this.#agenda.shift(late)
    this.#agenda.run(now)
  }

  receive(now: number, from: Peer, bytes: Uint8Array): void {
    const decoded = decodePacket(bytes)
    if (!decoded || this.#left || this.#isOwn(from)) return
    const { packet, updates } = decoded
    this.#meet(now, from)
    for (const update of updates) this.#learn(now, update)
    switch (packet.type) {
      case 'ping':
        if (packet.target === this.#deps.self.id)
          this.#send(from.address, { type: 'ack', seq: packet.seq }, from.id)
        break
      case 'relay':
        this.#prober.relay(now, from, packet)
        break
      case 'ack':
        this.#prober.acked(packet.seq)
        break
      case 'nack':
        this.#prober.nacked(packet.seq)
        break
    }
  }

  /** All that this node knows. */
  state(): Uint8Array {
    const claims = [...this.#table.values()].map(({ since: _since, ...claim }) => claim)
    return encodeState({ claims: [this.#ownClaim(), ...claims], news: this.#bulletin.all() })
  }

  /** Another's whole state, unasked for or as an answer. Who is dead there is only a suspect here: it may be that the two could
   * not hear each other. */
  merge(now: number, from: Peer | undefined, bytes: Uint8Array): void {
    const whole = decodeState(bytes)
    if (!whole || this.#left || (from && this.#isOwn(from))) return
    for (const claim of whole.claims) {
      const isGone = claim.state === 'dead' || claim.state === 'left'
      if (isGone && claim.id !== this.#deps.self.id && !this.#table.get(claim.id)) continue
      this.#hear(now, claim.state === 'dead' ? { ...claim, state: 'suspect' } : claim)
    }
    for (const news of whole.news) this.#note(now, news)
  }

  /** Where members may be: addresses, and the store's records of nodes, all of which are to be heard. */
  candidates(now: number, addresses: readonly string[], records: readonly Peer[] = []): void {
    this.#places.set(addresses, records)
    this.#agenda.hasten('rejoin', now)
  }

  /** Nobody is missing, nor was for so long that it is forgotten: what is announced anywhere in the fleet would be heard here. */
  get isWhole(): boolean {
    if (this.#table.count('dead') > 0 || !this.#places.areHeard) return false
    return this.#table.count('alive', 'suspect') > 0 || !this.#places.areOpen
  }

  count(...states: readonly MemberState[]): number {
    return this.#table.count(...states)
  }

  member(id: string): Readonly<SwimMember> | undefined {
    return this.#table.get(id)
  }

  get health(): number {
    return this.#prober.health
  }

  /** Passes on that there is a revision. This node hears it as all others do. */
  announce(now: number, document: string, { number, id }: Pick<News, 'number' | 'id'>): News {
    const news = { document, number, id, stamp: this.#bulletin.stamp(document, this.#deps.wall()) }
    this.#note(now, news)
    return news
  }

  /**
   * Brings news to a few members and tells when one of them has it.
   * @returns how many were asked
   */
  bring(now: number, news: News, arrived: () => void): number {
    const some = this.#table.some(this.#deps.settings.fanout, isHere)
    for (const member of some) this.#prober.ask(now, member, [encodeUpdate({ news })], arrived)
    return some.length
  }

  /** Says goodbye and does nothing any more. */
  leave(): void {
    if (this.#left) return
    this.#left = true
    this.#agenda.clear()
    const { id } = this.#deps.self
    const goodbye = encodeUpdate({ claim: { state: 'left', id, incarnation: this.#incarnation } })
    for (const { address } of this.#table.some(farewells, isHere))
      this.#deps.port.send(address, encodePacket({ type: 'gossip' }, [goodbye]))
  }

  get #size(): number {
    return this.#table.count('alive', 'suspect') + 1
  }

  #ownClaim(): Claim {
    const { id, boot, address } = this.#deps.self
    return { state: 'alive', id, incarnation: this.#incarnation, boot, address }
  }

  #isOwn({ id, boot, address }: Peer): boolean {
    const { self, port } = this.#deps
    if (id === self.id && boot !== self.boot) port.namesake(address)
    return id === self.id
  }

  /** Whoever speaks and is not known introduces itself, and all whom it knows. */
  #meet(now: number, { id, boot, address }: Peer): void {
    if (this.#table.get(id)?.boot === boot || now < this.#meetAgain) return
    this.#meetAgain = now + this.#deps.settings.probeMs
    this.#deps.port.exchange(address, this.state())
  }

  #learn(now: number, update: Update): void {
    if ('news' in update) this.#note(now, update.news)
    else this.#hear(now, update.claim)
  }

  #note(now: number, news: News): void {
    if (!this.#bulletin.add(news)) return
    this.#broadcasts.add(`news ${news.document} ${news.number} ${news.id}`, { news })
    // A change is passed on at once, not with the next round.
    this.#agenda.hasten('gossip', now)
    this.#deps.port.news(news)
  }

  #hear(now: number, claim: Claim): void {
    if (claim.incarnation > lastIncarnation) return
    if (claim.id === this.#deps.self.id) {
      this.#hearOfSelf(now, claim)
      return
    }
    const merged = this.#table.merge(claim, now)
    if (!merged) return
    const { member, before, evicted } = merged
    if (evicted !== undefined) {
      this.#agenda.cancel(`gone ${evicted}`)
      this.#places.forget(evicted)
    }
    const { id, state, incarnation, boot, address } = member
    const place = state === 'alive' ? { boot, address } : {}
    this.#broadcasts.add(`member ${id}`, { claim: { state, id, incarnation, ...place } })
    this.#watch(now, member)
    this.#places.changed(member)
    if (state !== before) this.#deps.port.changed(member, before)
  }

  /** What becomes of a member by time alone. */
  #watch(now: number, { id, state, incarnation }: SwimMember): void {
    const { settings } = this.#deps
    const [doom, oblivion] = [`suspect ${id}`, `gone ${id}`]
    if (state === 'suspect')
      this.#agenda.set(doom, now + suspicionMs(settings, this.#size), (then) =>
        this.#hear(then, { state: 'dead', id, incarnation }),
      )
    else this.#agenda.cancel(doom)
    if (state === 'dead' || state === 'left')
      this.#agenda.set(oblivion, now + settings.forgetMs, () => this.#table.forget(id))
    else this.#agenda.cancel(oblivion)
  }

  /** SWIM §4.2: only the member itself raises its incarnation, and only to refute what is said of it. */
  #hearOfSelf(now: number, { state, incarnation, boot }: Claim): void {
    const isTrue = state === 'alive' && (boot === undefined || boot === this.#deps.self.boot)
    if (isTrue && incarnation <= this.#incarnation) return
    // Whoever says what was refuted long ago has missed it: it is said once more.
    if (incarnation >= this.#incarnation) {
      this.#incarnation = incarnation + 1
      if (!isTrue) this.#prober.adjust(1)
      this.#agenda.hasten('gossip', now)
    }
    this.#broadcasts.add(`member ${this.#deps.self.id}`, { claim: this.#ownClaim() })
  }

  #gossip(now: number): void {
    const { gossipMs, fanout, remindMs } = this.#deps.settings
    this.#agenda.set('gossip', now + gossipMs, (then) => this.#gossip(then))
    if (this.#broadcasts.size === 0) return
    const here = this.#table.some(fanout, isHere)
    const doubtful = this.#table.some(1, ({ state, since }) => state === 'dead' && now - since < remindMs)
    for (const { id, address } of [...here, ...doubtful]) this.#send(address, { type: 'gossip' }, id)
  }

  #exchange(now: number): void {
    const { settings, random, port } = this.#deps
    const wait = exchangeMs(settings, this.#size) * (0.75 + random() / 2)
    this.#agenda.set('exchange', now + wait, (then) => this.#exchange(then))
    for (const { address } of this.#table.some(1, ({ state }) => state === 'alive'))
      port.exchange(address, this.state())
  }

  /** Looks for those who are not heard: a partition heals from either side. */
  #rejoin(now: number): void {
    const { settings, random, port } = this.#deps
    const isAlone = this.#table.count('alive', 'suspect') === 0
    const wait = (isAlone ? settings.probeMs : settings.rejoinMs) * (0.75 + random() / 2)
    this.#agenda.set('rejoin', now + wait, (then) => this.#rejoin(then))
    const places = [...this.#table.addresses('dead'), ...this.#places.outsiders()]
    if (places.length > 0) port.exchange(places[Math.floor(random() * places.length)], this.state())
  }

  /** With what there is to tell, as far as it fits. */
  #send(address: string, packet: Packet, to: string, first: readonly string[] = []): void {
    const member = this.#table.get(to)
    const begin = [...first]
    // Lifeguard §IV.C: who is suspected hears it from everybody who speaks to it.
    if (member && member.state !== 'alive') {
      const { state, id, incarnation } = member
      begin.push(encodeUpdate({ claim: { state, id, incarnation } }))
    }
    // What is told to the dead would count as told.
    const room = !member || isHere(member) ? packetBytes - encodePacket(packet, begin).length - 1 : 0
    const more = this.#broadcasts.take(room, retransmitLimit(this.#deps.settings, this.#size))
    this.#deps.port.send(address, encodePacket(packet, [...begin, ...more]))
  }
}
