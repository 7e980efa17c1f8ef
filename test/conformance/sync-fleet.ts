/** Nodes with one bus, and the readers that follow its hints. */
import { strict as assert } from 'node:assert'
import { setTimeout as later } from 'node:timers/promises'
import type { ConfigStore, ConfigSync, Revision, SyncContext } from '../../core/contracts/index.ts'
import { systemClock } from '../../core/host/clock.ts'
import type { Made, Stage, Told } from './stage.ts'
import type { FakeTime } from './time.ts'

/** A bus of its own, for one test. */
export interface SyncSite {
  readonly options?: unknown
  /** Moves the bus's time; default: real time passes. */
  readonly time?: FakeTime
  /** What the n-th node is given. Default: the kit's own store, network and members. */
  context?(node: number): Partial<SyncContext>
  /** Cuts all nodes off from the bus, and lets them back. */
  cut?(): void | Promise<void>
  heal?(): void | Promise<void>
  /** What happens to messages from now on. */
  fault?(fault: 'none' | 'lose' | 'double' | 'reorder'): void | Promise<void>
  stop?(): void | Promise<void>
}

export interface SyncFixture {
  start(): SyncSite | Promise<SyncSite>
  /** What the sites can do; only these tests are registered. */
  readonly faults: readonly ('cut' | 'lose' | 'double' | 'reorder')[]
  /** False: it never brings hints (`poll`). Default true. */
  readonly hints: boolean
}

type Scene = Stage<'config-sync'>

/** How often a reader looks while its bus is down, and how seldom while it is up. */
const pollMs = 100
export const reconcileMs = 3000

/** What the engine makes of hints, as little as will do: it reads the store, and never goes back. */
class Reader {
  applied = 0
  reads = 0
  #up = false
  #seen = 0
  #sinceRead = 0
  readonly #store: ConfigStore
  readonly #told: Told[]

  constructor(store: ConfigStore, told: Told[]) {
    this.#store = store
    this.#told = told
  }

  async step(ms: number): Promise<void> {
    this.#sinceRead += ms
    let due = this.#sinceRead >= (this.#up ? reconcileMs : pollMs)
    for (; this.#seen < this.#told.length; this.#seen++) {
      const told = this.#told[this.#seen]
      if (told.call === 'bus') {
        // The catch-up read that follows the subscription.
        due ||= told.state === 'up' && !this.#up
        this.#up = told.state === 'up'
      } else if (told.call === 'hint')
        due ||= (told.revision?.number ?? Number.POSITIVE_INFINITY) > this.applied
    }
    if (!due) return
    this.#sinceRead = 0
    this.reads++
    const head = await this.#store.get('config', { fresh: true })
    assert((head?.revision.number ?? 0) >= this.applied, 'went back')
    this.applied = head?.revision.number ?? 0
  }
}

export class Fleet {
  readonly stage: Scene
  readonly site: SyncSite
  readonly nodes: Made<'config-sync'>[] = []
  readonly readers: Reader[] = []
  readonly store: ConfigStore
  #head: Revision | null = null

  constructor(stage: Scene, site: SyncSite) {
    this.stage = stage
    this.site = site
    this.store = stage.store.client()
  }

  static async of(stage: Scene, count = 2): Promise<Fleet> {
    const site = (await stage.fixture.start?.()) ?? { time: stage.time }
    stage.defer(() => site.stop?.())
    const fleet = new Fleet(stage, site)
    const roster = Array.from({ length: count }, (_, node) => ({
      id: `lb-${node}`,
      boot: `boot-${node}`,
      role: 'lb' as const,
      address: `10.0.0.${node}:9901`,
      zone: '',
    }))
    for (const [node, self] of roster.entries()) {
      const made = await stage.make({
        clock: site.time?.clock(node * 999) ?? systemClock,
        seed: node + 1,
        options: site.options ?? stage.subject.options,
        context: {
          store: fleet.store,
          network: stage.hub.network(self),
          members: { self, all: () => roster, watch: () => ({ cancel() {} }) },
          ...site.context?.(node),
        },
      })
      fleet.nodes.push(made)
      fleet.readers.push(new Reader(fleet.store, made.told))
    }
    return fleet
  }

  async pass(ms: number): Promise<void> {
    await (this.site.time ? this.site.time.advanceAsync(ms) : later(ms))
    for (const reader of this.readers) await reader.step(ms)
  }

  async until(what: string, condition: () => boolean, timeoutMs = 20_000): Promise<void> {
    for (let passed = 0; passed < timeoutMs && !condition(); passed += 20) await this.pass(20)
    assert(condition(), `not within ${timeoutMs} ms: ${what}`)
  }

  busOf(node: number): 'up' | 'down' {
    const last = this.nodes[node].told.findLast(({ call }) => call === 'bus')
    return last?.call === 'bus' ? last.state : 'down'
  }

  allUp(): Promise<void> {
    return this.until(
      'every bus is up',
      () => this.nodes.every((_, node) => this.busOf(node) === 'up'),
      60_000,
    )
  }

  hintsAt(node: number): Told[] {
    return this.nodes[node].told.filter(({ call }) => call === 'hint')
  }

  get syncs(): ConfigSync[] {
    return this.nodes.map(({ instance }) => instance)
  }

  /** Writes a revision and announces it, as its writer does: a bus that does not take it leaves it to the relay. */
  async change(): Promise<void> {
    const id = `write-${(this.#head?.number ?? 0) + 1}-0123456789abcdef`
    const result = await this.store.put('config', Buffer.from(id), this.#head, id, { by: 'conformance' })
    assert(result.status === 'committed')
    this.#head = result.revision
    await this.announce(result.revision)
  }

  async announce(revision: Revision): Promise<void> {
    const announced = this.syncs[0].announce?.('config', revision)
    announced?.catch(() => {})
    let over = announced === undefined
    void announced?.then(
      () => {
        over = true
      },
      () => {
        over = true
      },
    )
    await this.until('announce has an outcome', () => over)
  }

  async converge(timeoutMs = 2 * reconcileMs): Promise<void> {
    const wanted = this.#head?.number ?? 0
    await this.until(
      `every reader has revision ${wanted}`,
      () => this.readers.every(({ applied }) => applied === wanted),
      timeoutMs,
    )
  }
}
