/** SWIM as the bus of a config sync: its packets on the network, its time from the clock, its news as hints. */
import { type ConfigSync, MillraceError, type RevisionRef, type SyncContext, type Timer } from 'millrace'
import { swimSettings } from './settings.ts'
import { Swim } from './swim.ts'
import type { SwimMember } from './table.ts'
import type { MemberState, News } from './wire.ts'

/** The contract gives an announcement 5 s. */
const announceMs = 4500
/** For one exchange with another node. */
const exchangeTimeoutMs = 2000

export interface GossipOptions {
  readonly seeds: readonly string[]
  readonly probeMs: number
}

export class GossipBus implements ConfigSync {
  readonly #context: SyncContext
  readonly #options: GossipOptions
  readonly #swim: Swim
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #up = false
  /** Who else is there is not known at once. */
  readonly #upFrom: number
  #warned = false
  /** Packets that the system has not taken over yet. */
  readonly #sending = new Set<Promise<void>>()

  constructor(context: SyncContext, options: GossipOptions) {
    const { network, members, clock } = context
    this.#context = context
    this.#options = options
    this.#upFrom = clock.now() + options.probeMs
    this.#swim = new Swim({
      self: members.self,
      settings: swimSettings(options.probeMs),
      random: () => context.random(),
      wall: () => clock.wall(),
      port: {
        send: (address, packet) => this.#send(address, packet),
        exchange: (address, state) => void this.#exchange(address, state),
        changed: (member, before) => this.#changed(member, before),
        news: (news) => this.#news(news),
        namesake: (address) => this.#namesake(address),
      },
    })
    context.defer(() => this.#leave())
    network.onMessage(({ from, boot, address, payload }) => {
      this.#swim.receive(clock.now(), { id: from, boot, address }, payload)
      this.#goOn()
    })
    network.onRequest(({ from, boot, address, payload }) => {
      this.#swim.merge(clock.now(), { id: from, boot, address }, payload)
      this.#goOn()
      return this.#swim.state()
    })
    members.watch(() => this.#findMembers())
    this.#swim.start(clock.now())
    this.#findMembers()
  }

  /** Resolves when another member has it; where there is none, at once. */
  announce(document: string, revision: RevisionRef): Promise<void> {
    const { clock, signal } = this.#context
    const news = this.#swim.announce(clock.now(), document, revision)
    const until = clock.now() + announceMs
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined
      const end = (why?: string): void => {
        signal.removeEventListener('abort', stopped)
        timer?.cancel()
        if (why === undefined) resolve()
        else reject(unheard(document, why))
      }
      const stopped = (): void => end('this node has stopped')
      const attempt = (): void => {
        if (clock.now() >= until) return end('no other node has answered')
        timer = clock.after(Math.min(this.#options.probeMs / 2, until - clock.now()), attempt)
        const asked = this.#swim.bring(clock.now(), news, () => end())
        this.#goOn()
        if (asked === 0 && this.#swim.isWhole) end()
      }
      if (signal.aborted) return stopped()
      signal.addEventListener('abort', stopped)
      attempt()
    })
  }

  /** After anything has happened: when is the next thing to do, and what is the bus? */
  #goOn(): void {
    const { clock, signal } = this.#context
    if (signal.aborted) return
    this.#say(this.#swim.isWhole && clock.now() >= this.#upFrom)
    const at = this.#swim.next
    if (this.#timer && this.#timerAt === at) return
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = clock.after(Math.max(0, at - clock.now()), () => {
      this.#timer = undefined
      this.#swim.advance(clock.now())
      this.#goOn()
    })
  }

  #send(address: string, packet: Uint8Array): void {
    const sending = this.#context.network
      .send(address, packet)
      .catch((error: unknown) => this.#context.log.debug(`gossip: ${(error as Error).message}`))
      .finally(() => this.#sending.delete(sending))
    this.#sending.add(sending)
  }

  async #exchange(address: string, state: Uint8Array): Promise<void> {
    const { network, signal, clock, log } = this.#context
    if (signal.aborted) return
    try {
      const answer = await network.request(address, state, { timeoutMs: exchangeTimeoutMs, signal })
      if (signal.aborted) return
      this.#swim.merge(clock.now(), undefined, answer)
      this.#goOn()
    } catch (error) {
      // Not there, or not yet; it is tried again.
      if (!signal.aborted) log.debug(`gossip: ${(error as Error).message}`)
    }
  }

  #findMembers(): void {
    const { members, clock } = this.#context
    const places = members.all().map(({ address }) => address)
    this.#swim.candidates(clock.now(), [...new Set([...this.#options.seeds, ...places])])
    this.#goOn()
  }

  #changed({ id, address, state }: SwimMember, before: MemberState | undefined): void {
    const { log, metrics } = this.#context
    for (const each of ['alive', 'suspect', 'dead'] as const)
      metrics.gauge(`members_${each}`, `Other members that are ${each}.`).set(this.#swim.count(each))
    if (before === undefined && state === 'alive') log.info(`gossip: ${id} at ${address} is there`)
    else if (state === 'dead') log.warn(`gossip: ${id} at ${address} does not answer and is taken for dead`)
    else log.info(`gossip: ${id} at ${address} is ${state}`)
  }

  #news({ document, number, id }: News): void {
    const { documents, signal } = this.#context
    if (signal.aborted || !documents.some((prefix) => document.startsWith(prefix))) return
    this.#context.hint(document, { number, id })
  }

  #namesake(address: string): void {
    if (this.#warned) return
    this.#warned = true
    const { id } = this.#context.members.self
    this.#context.log.warn(`gossip: another node, heard from ${address}, has the node id ${id} too; expected one of each id`)
  }

  #say(up: boolean): void {
    if (up === this.#up || this.#context.signal.aborted) return
    this.#up = up
    this.#context.bus(up ? 'up' : 'down')
  }

  async #leave(): Promise<void> {
    this.#swim.leave()
    await Promise.all(this.#sending)
  }
}

function unheard(document: string, why: string): MillraceError {
  return new MillraceError('MR_NETWORK', `the change of ${document} was not passed on: ${why}`)
}
