/** Runs the protocol: its packets on the network, its time from the clock. */
import type { ProcessContext, Timer } from 'millrace'
import type { SwimSettings } from './settings.ts'
import { Swim } from './swim.ts'
import type { SwimMember } from './table.ts'
import type { MemberState, News } from './wire.ts'

/** For one exchange with another node. */
const exchangeTimeoutMs = 2000

export interface DriverDeps {
  readonly context: ProcessContext
  readonly settings: SwimSettings
  changed(member: SwimMember, before: MemberState | undefined): void
  news(news: News): void
  /** Something has happened, and all of it has been told. */
  settled(): void
}

export class SwimDriver {
  readonly swim: Swim
  readonly #deps: DriverDeps
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #warned = false
  /** Packets that the system has not taken over yet. */
  readonly #sending = new Set<Promise<void>>()

  constructor(deps: DriverDeps) {
    const { context, settings } = deps
    this.#deps = deps
    this.swim = new Swim({
      ...{ self: context.members.self, settings },
      random: () => context.random(),
      wall: () => context.clock.wall(),
      port: {
        send: (address, packet) => this.#send(address, packet),
        exchange: (address, state) => void this.#exchange(address, state),
        changed: (member, before) => deps.changed(member, before),
        news: (news) => deps.news(news),
        namesake: (address) => this.#namesake(address),
      },
    })
  }

  start(): void {
    const { network, clock, defer } = this.#deps.context
    const { swim } = this
    defer(() => this.#leave())
    network.onMessage(({ from, boot, address, payload }) => {
      swim.receive(clock.now(), { id: from, boot, address }, payload)
      this.goOn()
    })
    network.onRequest(({ from, boot, address, payload }) => {
      swim.merge(clock.now(), { id: from, boot, address }, payload)
      this.goOn()
      return swim.state()
    })
    swim.start(clock.now())
    this.goOn()
  }

  /** After anything was done with {@link swim}: when does it have something to do? */
  goOn(): void {
    const { context, settled } = this.#deps
    const { clock, signal } = context
    if (signal.aborted) return
    settled()
    const at = this.swim.next
    if (this.#timer && this.#timerAt === at) return
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = clock.after(Math.max(0, at - clock.now()), () => {
      this.#timer = undefined
      this.swim.advance(clock.now())
      this.goOn()
    })
  }

  #send(address: string, packet: Uint8Array): void {
    const { network, log } = this.#deps.context
    const sending = network
      .send(address, packet)
      .catch((error: unknown) => log.debug(`gossip: ${(error as Error).message}`))
      .finally(() => this.#sending.delete(sending))
    this.#sending.add(sending)
  }

  async #exchange(address: string, state: Uint8Array): Promise<void> {
    const { network, signal, clock, log } = this.#deps.context
    if (signal.aborted) return
    try {
      const answer = await network.request(address, state, { timeoutMs: exchangeTimeoutMs, signal })
      if (signal.aborted) return
      this.swim.merge(clock.now(), undefined, answer)
      this.goOn()
    } catch (error) {
      // Not there, or not yet; it is tried again.
      if (!signal.aborted) log.debug(`gossip: ${(error as Error).message}`)
    }
  }

  #namesake(address: string): void {
    if (this.#warned) return
    this.#warned = true
    const { log, members } = this.#deps.context
    const { id } = members.self
    log.warn(
      `gossip: another node, heard from ${address}, has the node id ${id} too; expected one of each id`,
    )
  }

  async #leave(): Promise<void> {
    this.swim.leave()
    await Promise.all(this.#sending)
  }
}
