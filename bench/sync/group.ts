/**
 * A number of sync engines in this process, each with its own connections to the servers, as so many LB servers would have; and
 * one writer. What is applied is only noted: threads, sockets and the disk of a node are measured elsewhere.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { setTimeout as later } from 'node:timers/promises'
import { SyncEngine } from '../../core/config/sync/engine.ts'
import type { LastKnownGood } from '../../core/config/sync/last-known-good.ts'
import { configDocument, configSchema, encodeConfig } from '../../core/config/sync/value.ts'
import type {
  ConfigStore,
  ConfigSync,
  FleetNode,
  Revision,
  RevisionRef,
  WatchListener,
} from '../../core/contracts/index.ts'
import { systemClock } from '../../core/host/clock.ts'
import { openStore } from '../../core/host/open-store.ts'
import { openSync } from '../../core/host/open-sync.ts'
import type { PluginRegistry } from '../../core/host/registry.ts'
import { freePort } from '../arms/ready.ts'
import { type Approach, type Places, storeUse, syncUse } from './approaches.ts'

export interface GroupOptions {
  readonly approach: Approach
  readonly places: Omit<Places, 'writer'>
  readonly engines: number
  readonly registry: PluginRegistry
  readonly backends: number
  readonly pollMs: number
  readonly reconcileMs: number
  random(): number
}

/** Milliseconds from the call that wrote a change until each engine had applied it. */
export type Spreading = readonly number[]

export interface Counts {
  readonly hints: number
  readonly reads: number
}

interface Node {
  hints: number
  /** Hints that are swallowed instead of given to the engine: those are the ones that a bus lost. */
  losing: number
}

interface Waiting {
  readonly mark: number
  readonly since: number
  /** Of each engine that has it. */
  readonly times: Map<Node, number>
  done(): void
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const nothing = { add() {}, set() {} }
const metrics = { counter: () => nothing, gauge: () => nothing }
/** The disk is not what is compared here. */
const forgetful: LastKnownGood = { load: async () => [], save: async () => {} }
/** An engine gets its config, or the run is given up. */
const longestMs = 120_000
const askAgainMs = 20
const membersMs = 13_000

export class EngineGroup {
  readonly #options: GroupOptions
  readonly #fleet: string
  readonly #fleetKey = randomUUID()
  readonly #nodes: Node[] = []
  readonly #engines: SyncEngine[] = []
  readonly #stops: (() => Promise<void>)[] = []
  #writer = ''
  #store: ConfigStore | undefined
  #sync: ConfigSync | undefined
  #head: RevisionRef | null = null
  #mark = 0
  #waiting: Waiting | undefined

  private constructor(options: GroupOptions) {
    this.#options = options
    this.#fleet = `bench-${randomUUID().slice(0, 8)}`
  }

  /** Resolves when every engine serves the first config, and its bus is up where it has one. */
  static async start(options: GroupOptions): Promise<EngineGroup> {
    const group = new EngineGroup(options)
    try {
      await group.#start()
      return group
    } catch (error) {
      await group.stop()
      throw error
    }
  }

  async #start(): Promise<void> {
    const { engines } = this.#options
    const writer = await this.#openStore('writer', false)
    this.#writer = writer.self.address
    this.#store = writer.store
    this.#sync = await this.#openSync(writer, { hint() {}, bus() {} })
    await this.#put()
    // A few at a time: so many connections at once are more than a server takes from one program.
    for (let first = 0; first < engines; first += 10) {
      const batch = Array.from({ length: Math.min(10, engines - first) }, (_, index) =>
        this.#startEngine(`lb-${first + index}`),
      )
      await Promise.all(batch)
    }
    await this.ready()
    // Whom a push goes to stands in the records of the store, which are looked at every ten seconds.
    if (this.#options.approach.sync === 'push') await later(membersMs)
  }

  get #places(): Places {
    return { ...this.#options.places, writer: this.#writer }
  }

  /** Resolves when every engine serves a config and has its bus, where there is one. */
  async ready(): Promise<void> {
    const { hasBus } = this.#options.approach
    const isReady = (): boolean =>
      this.states().every(({ applied, bus }) => applied !== undefined && (!hasBus || bus === 'up'))
    for (let waited = 0; !isReady(); waited += askAgainMs) {
      if (waited > longestMs) throw new Error('not every engine has its config and its bus after two minutes')
      await later(askAgainMs)
    }
  }

  states() {
    return this.#engines.map((engine) => engine.state())
  }

  counts(): Counts {
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
    return {
      hints: sum(this.#nodes.map(({ hints }) => hints)),
      reads: sum(this.states().map(({ reads }) => reads)),
    }
  }

  /** Every engine loses the next hint that it gets. */
  loseHints(): void {
    for (const node of this.#nodes) node.losing = 1
  }

  /**
   * Writes a change and announces it, as `config apply` does.
   * @param during called once the store has the change
   * @throws when an engine has not got it after two minutes
   */
  async change(during: () => void = () => {}): Promise<Spreading> {
    const mark = ++this.#mark
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = { mark, since: performance.now(), times: new Map<Node, number>(), done: resolve }
    this.#waiting = waiting
    const { promise: late, reject } = Promise.withResolvers<void>()
    const timer = systemClock.after(longestMs, () =>
      reject(
        new Error(`${this.#nodes.length - waiting.times.size} engines have no change after two minutes`),
      ),
    )
    try {
      await this.#put(during)
      await Promise.race([promise, late])
    } finally {
      timer.cancel()
      this.#waiting = undefined
    }
    return [...waiting.times.values()]
  }

  async stop(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.stop()))
    await Promise.all(this.#stops.splice(0).map((stop) => stop()))
  }

  async #put(during: () => void = () => {}): Promise<void> {
    const value = encodeConfig(configOf(this.#options.backends, this.#mark))
    const revision = await this.#commit(value, newWriteId())
    this.#head = revision
    during()
    // What cannot be announced is found by polling: that is what is measured.
    await this.#sync?.announce?.(configDocument, revision).catch(() => {})
  }

  /** Sent again until the store has it; it is done once, however often it is sent. */
  async #commit(value: Uint8Array, writeId: string): Promise<Revision> {
    const note = { by: 'bench', schema: configSchema }
    for (let waited = 0; ; waited += askAgainMs) {
      const result = await (this.#store as ConfigStore)
        .put(configDocument, value, this.#head, writeId, note)
        .catch((error: unknown) => {
          if (waited > longestMs || (error as { code?: string }).code !== 'MR_STORE_UNAVAILABLE') throw error
        })
      if (result?.status === 'committed') return result.revision
      if (result?.status === 'conflict') throw new Error('somebody else writes to the store of the benchmark')
      await later(askAgainMs)
    }
  }

  async #startEngine(id: string): Promise<void> {
    const { pollMs, reconcileMs, random } = this.#options
    const member = await this.#openStore(id, true)
    const node: Node = { hints: 0, losing: 0 }
    const engine = new SyncEngine({
      ...{ store: member.store, clock: systemClock, random, log: quiet, lastGood: forgetful },
      ...{ pollMs, reconcileMs, node: member.self },
      startWaitMs: longestMs,
      newId: newWriteId,
      use: async (data) => {
        this.#applied(node, markOf(data))
        return { status: 'used' }
      },
    })
    this.#nodes.push(node)
    this.#engines.push(engine)
    await engine.start()
    await this.#openSync(member, {
      hint(document, revision) {
        node.hints++
        if (node.losing > 0) node.losing--
        else engine.hint(document, revision)
      },
      bus: (state) => engine.bus(state),
    })
  }

  async #openStore(id: string, throughRelay: boolean): Promise<Member> {
    const { approach, registry, random } = this.#options
    const boot = randomUUID()
    const address = `127.0.0.1:${await freePort(random)}`
    const self = { id, boot, role: 'lb', address, zone: '' } as const
    const opened = await openStore(storeUse(approach, this.#places, throughRelay), {
      ...{ registry, fleet: this.#fleet, node: { id, boot }, data: tmpdir(), log: quiet, metrics },
      ...{ clock: systemClock, random },
    })
    this.#stops.push(() => opened.stop())
    return { self, store: opened.store }
  }

  async #openSync({ self, store }: Member, listener: WatchListener): Promise<ConfigSync> {
    const { approach, registry, random, pollMs, reconcileMs } = this.#options
    const use = { ...syncUse(approach, this.#places), pollMs, reconcileMs }
    const opened = await openSync(use, {
      ...{ registry, store, fleet: this.#fleet, clock: systemClock, random, log: quiet, metrics },
      ...{ self, fleetKeys: [this.#fleetKey] },
      documents: [configDocument],
      hint: (document, revision) => listener.hint(document, revision),
      bus: (state) => listener.bus(state),
    })
    this.#stops.unshift(() => opened.stop())
    return opened.sync
  }

  #applied(node: Node, mark: number): void {
    const waiting = this.#waiting
    if (waiting === undefined || mark !== waiting.mark || waiting.times.has(node)) return
    waiting.times.set(node, performance.now() - waiting.since)
    if (waiting.times.size === this.#nodes.length) waiting.done()
  }
}

interface Member {
  readonly self: FleetNode
  readonly store: ConfigStore
}

function newWriteId(): string {
  return randomBytes(12).toString('hex')
}

/** A config of one service; `mark` tells one change from another. */
function configOf(backends: number, mark: number): object {
  const urls = Array.from({ length: backends }, (_, index) => ({
    url: `http://10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:8080`,
    weight: 1 + ((mark + index) % 7),
  }))
  return { routes: [{ service: 'api' }], services: { api: { key: `header:x-mark-${mark}`, backends: urls } } }
}

function markOf(data: unknown): number {
  const { services } = data as { services: { api: { key: string } } }
  return Number(services.api.key.slice('header:x-mark-'.length))
}
