/** A fleet of SWIM nodes on a simulated network, under fake time, from a seed. */
import { strict as assert } from 'node:assert'
import { swimSettings } from '../../plugins/lib/swim/settings.ts'
import { Swim } from '../../plugins/lib/swim/swim.ts'
import { type MemberState, type News, packetBytes } from '../../plugins/lib/swim/wire.ts'
import { EventQueue } from './event-queue.ts'
import { type Random, seededRandom } from './random.ts'

export const settings = swimSettings(1000)

/** What happens to each datagram. */
export interface Faults {
  /** Chances. */
  loss: number
  double: number
  /** Chance of being late by up to a second. */
  late: number
}

export interface Change {
  readonly at: number
  /** Who thinks so, of whom. */
  readonly by: string
  readonly id: string
  readonly state: MemberState
  readonly before: MemberState | undefined
}

export const keyOf = ({ document, number, id }: Omit<News, 'stamp'>): string => `${document} ${number} ${id}`

export class SimNode {
  readonly id: string
  readonly address: string
  readonly #fleet: SimFleet
  swim: Swim | undefined
  boot = ''
  starts = 0
  /** As if the process were stopped until then: what comes waits. */
  frozenUntil = 0
  /** Nodes of one side hear each other. */
  side = 0
  /** By document, number and id: when it was heard of first. */
  readonly heard = new Map<string, number>()
  #wake = Number.POSITIVE_INFINITY

  constructor(fleet: SimFleet, id: string) {
    this.id = id
    this.address = `${id}:9902`
    this.#fleet = fleet
  }

  start(candidates: readonly string[]): void {
    const fleet = this.#fleet
    this.boot = `boot-${this.id}-${++this.starts}`
    this.heard.clear()
    this.#wake = Number.POSITIVE_INFINITY
    const self = { id: this.id, boot: this.boot, address: this.address }
    const { now } = fleet.queue
    const swim: Swim = new Swim({
      ...{ self, settings },
      random: () => fleet.random.next(),
      wall: () => 1_700_000_000_000 + fleet.queue.now,
      port: {
        send: (address, packet) => fleet.send(this, address, packet),
        exchange: (address, state) => fleet.exchange(this, address, state),
        changed: ({ id, state, boot, incarnation }, before) => {
          fleet.changes.push({ at: fleet.queue.now, by: this.id, id, state, before })
          fleet.check(this, id, boot, incarnation)
        },
        news: (news) => this.#news(news),
        namesake: (address) => assert.fail(`${this.id} was told of a namesake at ${address}`),
      },
    })
    this.swim = swim
    swim.start(now)
    swim.candidates(now, candidates)
    this.plan()
  }

  /** Without a word. */
  crash(): void {
    this.swim = undefined
  }

  leave(): void {
    this.swim?.leave()
    this.swim = undefined
  }

  announce(document: string, number: number): void {
    this.swim?.announce(this.#fleet.queue.now, document, { number, id: `w-${number}` })
    this.plan()
  }

  get isRunning(): boolean {
    return this.swim !== undefined
  }

  /** Now, or when it runs again. */
  act(run: (swim: Swim, now: number) => void): void {
    const { queue } = this.#fleet
    const { boot } = this
    if (queue.now < this.frozenUntil) {
      queue.at(this.frozenUntil, () => {
        if (this.boot === boot) this.act(run)
      })
      return
    }
    if (!this.swim || this.boot !== boot) return
    run(this.swim, queue.now)
    this.plan()
  }

  plan(): void {
    const { queue } = this.#fleet
    const { boot } = this
    const at = this.swim?.next ?? Number.POSITIVE_INFINITY
    if (at === Number.POSITIVE_INFINITY || this.#wake === at) return
    this.#wake = at
    queue.at(at, () => {
      if (this.#wake !== at || this.boot !== boot) return
      this.act((swim, now) => {
        this.#wake = Number.POSITIVE_INFINITY
        swim.advance(now)
      })
    })
  }

  #news(news: News): void {
    const key = keyOf(news)
    assert(this.#fleet.announced.has(key), `${this.id} heard of what nobody has announced`)
    if (!this.heard.has(key)) this.heard.set(key, this.#fleet.queue.now)
  }
}

export class SimFleet {
  readonly queue = new EventQueue()
  readonly random: Random
  readonly nodes: SimNode[] = []
  readonly changes: Change[] = []
  readonly faults: Faults = { loss: 0, double: 0, late: 0 }
  /** Document, number and id. */
  readonly announced = new Set<string>()
  /** Datagrams, and the longest. */
  packets = 0
  longest = 0
  /** Of each observer and start of a member: its incarnation never goes back. */
  readonly #incarnations = new Map<string, number>()
  readonly #places = new Map<string, SimNode>()

  constructor(seed: number, count: number) {
    this.random = seededRandom(seed)
    for (let index = 0; index < count; index++) this.add()
  }

  add(): SimNode {
    const node = new SimNode(this, `n${this.nodes.length}`)
    this.nodes.push(node)
    this.#places.set(node.address, node)
    return node
  }

  /** All nodes, each knowing where the first one is; one after the other. */
  startAll(): void {
    for (const node of this.nodes) {
      node.start([this.nodes[0].address])
      this.pass(20)
    }
  }

  get running(): SimNode[] {
    return this.nodes.filter(({ isRunning }) => isRunning)
  }

  pass(ms: number): void {
    this.queue.run(this.queue.now + ms)
  }

  /** @returns milliseconds that it took; undefined: longer than `limitMs` */
  until(limitMs: number, done: () => boolean): number | undefined {
    const began = this.queue.now
    while (!done()) {
      if (this.queue.now - began >= limitMs) return undefined
      this.pass(10)
    }
    return this.queue.now - began
  }

  announce(node: SimNode, number: number): void {
    this.announced.add(keyOf({ document: 'config', number, id: `w-${number}` }))
    node.announce('config', number)
  }

  send(from: SimNode, address: string, packet: Uint8Array): void {
    this.packets++
    this.longest = Math.max(this.longest, packet.length)
    assert(packet.length <= packetBytes, `a packet of ${packet.length} bytes`)
    const copies = this.random.chance(this.faults.double) ? 2 : 1
    const peer = { id: from.id, boot: from.boot, address: from.address }
    for (let copy = 0; copy < copies; copy++) {
      if (this.random.chance(this.faults.loss)) continue
      this.queue.at(this.queue.now + this.#delay(), () => {
        const to = this.#reached(from, address)
        to?.act((swim, now) => swim.receive(now, peer, packet))
      })
    }
  }

  exchange(from: SimNode, address: string, state: Uint8Array): void {
    const peer = { id: from.id, boot: from.boot, address: from.address }
    this.queue.at(this.queue.now + 2 * this.#delay(), () => {
      const to = this.#reached(from, address)
      if (!to) return
      to.act((swim, now) => {
        swim.merge(now, peer, state)
        const answer = swim.state()
        this.queue.at(now + this.#delay(), () => {
          if (this.#reached(to, from.address) !== from || from.boot !== peer.boot) return
          from.act((own, then) => own.merge(then, undefined, answer))
        })
      })
    })
  }

  check(by: SimNode, id: string, boot: string, incarnation: number): void {
    const key = `${by.boot} ${boot}`
    const before = this.#incarnations.get(key) ?? 0
    assert(incarnation >= before, `${by.id}: the incarnation of ${id} went back`)
    this.#incarnations.set(key, incarnation)
  }

  /** What one thinks of another. */
  opinion(by: SimNode, of: SimNode): MemberState | undefined {
    const member = by.swim?.member(of.id)
    return member?.boot === of.boot ? member.state : undefined
  }

  /** Everybody who runs thinks so of all others who run, and of nobody else. */
  get agrees(): boolean {
    return this.running.every((by) =>
      this.nodes.every((of) => {
        if (of === by) return true
        const state = this.opinion(by, of)
        return of.isRunning ? state === 'alive' : state !== 'alive' && state !== 'suspect'
      }),
    )
  }

  #reached(from: SimNode, address: string): SimNode | undefined {
    const to = this.#places.get(address)
    return to?.isRunning && to.side === from.side ? to : undefined
  }

  #delay(): number {
    const { random, faults } = this
    return random.chance(faults.late) ? random.next() * 1000 : 0.5 + random.next() * 2
  }
}
