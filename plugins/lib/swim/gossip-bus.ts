/** SWIM as the bus of a config sync: its news as hints. */
import { type ConfigSync, MillraceError, type RevisionRef, type SyncContext, type Timer } from 'millrace'
import { SwimDriver } from './driver.ts'
import { swimSettings } from './settings.ts'
import type { SwimMember } from './table.ts'
import type { MemberState, News } from './wire.ts'

/** The contract gives an announcement 5 s. */
const announceMs = 4500

export interface GossipOptions {
  readonly seeds: readonly string[]
  readonly probeMs: number
}

export class GossipBus implements ConfigSync {
  readonly #context: SyncContext
  readonly #options: GossipOptions
  readonly #driver: SwimDriver
  #up = false
  /** Who else is there is not known at once. */
  readonly #upFrom: number

  constructor(context: SyncContext, options: GossipOptions) {
    this.#context = context
    this.#options = options
    this.#upFrom = context.clock.now() + options.probeMs
    this.#driver = new SwimDriver({
      ...{ context, settings: swimSettings(options.probeMs) },
      changed: (member, before) => this.#changed(member, before),
      news: (news) => this.#news(news),
      settled: () => this.#say(this.#driver.swim.isWhole && context.clock.now() >= this.#upFrom),
    })
    context.members.watch(() => this.#findMembers())
    this.#driver.start()
    this.#findMembers()
  }

  /** Resolves when another member has it; where there is none, at once. */
  announce(document: string, revision: RevisionRef): Promise<void> {
    const { clock, signal } = this.#context
    const { swim } = this.#driver
    const news = swim.announce(clock.now(), document, revision)
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
        if (clock.now() >= until) {
          end('no other node has answered')
          return
        }
        timer = clock.after(Math.min(this.#options.probeMs / 2, until - clock.now()), attempt)
        const asked = swim.bring(clock.now(), news, () => end())
        this.#driver.goOn()
        if (asked === 0 && swim.isWhole) end()
      }
      signal.addEventListener('abort', stopped)
      if (signal.aborted) stopped()
      else attempt()
    })
  }

  #findMembers(): void {
    const { members, clock } = this.#context
    this.#driver.swim.candidates(clock.now(), this.#options.seeds, members.all())
    this.#driver.goOn()
  }

  #changed({ id, address, state }: SwimMember, before: MemberState | undefined): void {
    const { log, metrics } = this.#context
    for (const each of ['alive', 'suspect', 'dead'] as const)
      metrics.gauge(`members_${each}`, `Other members that are ${each}.`).set(this.#driver.swim.count(each))
    if (before === undefined && state === 'alive') log.info(`gossip: ${id} at ${address} is there`)
    else if (state === 'dead') log.warn(`gossip: ${id} at ${address} does not answer and is taken for dead`)
    else log.info(`gossip: ${id} at ${address} is ${state}`)
  }

  #news({ document, number, id }: News): void {
    const { documents, signal } = this.#context
    if (signal.aborted || !documents.some((prefix) => document.startsWith(prefix))) return
    this.#context.hint(document, { number, id })
  }

  #say(up: boolean): void {
    if (up === this.#up || this.#context.signal.aborted) return
    this.#up = up
    this.#context.bus(up ? 'up' : 'down')
  }
}

function unheard(document: string, why: string): MillraceError {
  return new MillraceError('MR_NETWORK', `the change of ${document} was not passed on: ${why}`)
}
