/** SWIM as a failure detector: what the fleet agrees on, as this node's opinion. */
import type { DetectorContext, FailureDetector, FleetNode, Liveness, Opinion, Timer } from 'millrace'
import { SwimDriver } from './driver.ts'
import { type SwimSettings, suspicionMs, swimSettings } from './settings.ts'
import type { MemberState } from './wire.ts'

interface Watched {
  readonly node: FleetNode
  liveness: Liveness
  since: number
  reason: string
  /** When it is over, what is not known to be alive is dead. */
  grace: Timer | undefined
}

const livenessOf: Readonly<Record<MemberState, Liveness>> = {
  alive: 'alive',
  suspect: 'suspect',
  dead: 'dead',
  left: 'dead',
}
const reasons: Readonly<Record<MemberState, string>> = {
  alive: 'it answers',
  suspect: 'no answer, neither to this node nor to those that asked for it',
  dead: 'suspected, and it has not refuted',
  left: 'it has said goodbye',
}

export class SwimDetector implements FailureDetector {
  readonly #context: DetectorContext
  readonly #settings: SwimSettings
  readonly #driver: SwimDriver
  readonly #watched = new Map<string, Watched>()

  constructor(context: DetectorContext, probeMs: number) {
    this.#context = context
    this.#settings = swimSettings(probeMs)
    this.#driver = new SwimDriver({
      ...{ context, settings: this.#settings },
      changed: ({ id, boot, state }) => {
        const watched = this.#watched.get(id)
        if (watched?.node.boot === boot) this.#think(watched, livenessOf[state], reasons[state])
      },
      news() {},
      settled() {},
    })
    this.#driver.start()
  }

  update(nodes: readonly FleetNode[]): void {
    const { clock } = this.#context
    const wanted = new Map(nodes.map((node) => [node.id, node]))
    for (const [id, { node, grace }] of this.#watched) {
      if (wanted.get(id)?.boot === node.boot) continue
      grace?.cancel()
      this.#watched.delete(id)
    }
    for (const node of nodes) {
      if (this.#watched.has(node.id)) continue
      const watched: Watched = {
        ...{ node, liveness: 'alive', since: clock.now(), reason: 'not asked yet', grace: undefined },
      }
      this.#watched.set(node.id, watched)
      this.#wait(watched)
    }
    this.#driver.swim.candidates(
      clock.now(),
      nodes.map(({ address }) => address),
    )
    this.#driver.goOn()
  }

  heard(id: string, boot: string): void {
    const watched = this.#watched.get(id)
    if (watched?.node.boot !== boot) return
    this.#think(watched, 'alive', 'heard of elsewhere')
    // The others may still think otherwise: then it has to be heard again.
    if (this.#stateOf(watched) !== 'alive') this.#wait(watched)
  }

  opinion(id: string): Opinion | undefined {
    const watched = this.#watched.get(id)
    if (!watched) return undefined
    const { liveness, reason, since } = watched
    return { liveness, reason, suspicion: this.#suspicion(liveness, since) }
  }

  /** The share of the time until it is dead. */
  #suspicion(liveness: Liveness, since: number): number {
    if (liveness !== 'suspect') return liveness === 'dead' ? 1 : 0
    const members = this.#driver.swim.count('alive', 'suspect') + 1
    return Math.min(0.99, (this.#context.clock.now() - since) / suspicionMs(this.#settings, members))
  }

  #stateOf({ node }: Watched): MemberState | undefined {
    if (node.id === this.#context.members.self.id) return 'alive'
    const member = this.#driver.swim.member(node.id)
    return member?.boot === node.boot ? member.state : undefined
  }

  /** Whoever is new, or was heard elsewhere, is alive for a while, whatever the fleet knows of it. */
  #wait(watched: Watched): void {
    const { clock } = this.#context
    const until = clock.now() + this.#settings.remindMs
    watched.grace?.cancel()
    watched.grace = clock.after(this.#settings.remindMs, () => {
      // This node has stood still.
      if (clock.now() - until > this.#settings.probeMs) return this.#wait(watched)
      const state = this.#stateOf(watched)
      if (state === undefined) this.#think(watched, 'dead', 'never heard of')
      else this.#think(watched, livenessOf[state], reasons[state])
    })
  }

  #think(watched: Watched, liveness: Liveness, reason: string): void {
    watched.reason = reason
    if (watched.liveness === liveness || watched.node.id === this.#context.members.self.id) return
    watched.liveness = liveness
    watched.since = this.#context.clock.now()
    const opinion = this.opinion(watched.node.id)
    if (opinion && !this.#context.signal.aborted) this.#context.changed(watched.node.id, opinion)
  }
}
