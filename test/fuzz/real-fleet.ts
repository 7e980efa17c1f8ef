/**
 * A fleet on a real store: engines with real connections, each through a relay of its own, and a disk of its own; one writer that
 * reaches the server directly. The faults are those of sockets and processes.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SyncEngine } from '#core/config/sync/engine'
import { LastKnownGoodFiles } from '#core/config/sync/last-known-good'
import type { RevisionAt } from '#core/config/sync/state'
import { encodeConfig } from '#core/config/sync/value'
import type { ConfigStore, ConfigSync, PutResult, RevisionRef, WatchListener } from '#core/contracts/index'
import { systemClock } from '#core/host/clock'
import { openStore } from '#core/host/open-store'
import { openSync } from '#core/host/open-sync'
import { builtIn, PluginRegistry } from '#core/host/registry'
import { builtins } from '#plugins/manifest'
import { release } from '../harness/cleanup.ts'
import { type Relay, startRelay } from '../harness/relay.ts'

/** The server of a store, or undefined: a file. */
export interface StoreServer {
  readonly port: number
  /** SIGKILL, and the same again on what it had written. */
  kill(): Promise<void>
  start(): Promise<void>
  /** SIGSTOP and SIGCONT. */
  pause(): void
  resume(): void
}

/** Several servers whose faults belong together. */
export interface Topology {
  /**
   * One fault more.
   * @param write a change by the writer of the fleet
   * @returns false: there is none left
   */
  trouble(random: () => number, write: () => Promise<void>): Promise<boolean>
  /** Whatever has to be there for the store to answer, for good, is there. The faults that have to happen have happened. */
  heal(random: () => number, write: () => Promise<void>): Promise<void>
}

export interface Backing {
  readonly store: string
  readonly sync: string
  /** Options of both, for whoever reaches the store at this port. */
  storeOptions(port: number): Record<string, unknown>
  syncOptions(port: number): Record<string, unknown>
  readonly server: StoreServer | undefined
  /** Instead of a server. Then nodes have no relays of their own. */
  readonly topology?: Topology
  /** Given where acknowledged changes may be lost: how long the nodes hold what they serve, instead of 30 s. */
  readonly forkHoldMs?: number
}

export interface Config {
  readonly n: number
  readonly bad?: boolean
}

export const pollMs = 1000
const reconcileMs = 60_000
const nothing = { add() {}, set() {} }
const metrics = { counter: () => nothing, gauge: () => nothing }
const newId = (): string => randomBytes(12).toString('hex')

const registry = (): PluginRegistry => {
  const made = new PluginRegistry()
  for (const definition of builtins) made.add(builtIn(definition))
  return made
}

interface Member {
  readonly store: ConfigStore
  readonly sync: ConfigSync
  stop(): Promise<void>
}

export class RealFleet {
  readonly backing: Backing
  readonly name = `schedule-${randomUUID().slice(0, 8)}`
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-fleet-'))
  readonly random: () => number
  readonly registry = registry()
  readonly nodes: RealNode[] = []
  /** Ids of revisions that no node may serve. */
  readonly bad = new Set<string>()
  #writer: Member | undefined
  /** A write of which nobody knows whether it was done. */
  #unsettled: (() => Promise<PutResult>) | undefined

  constructor(backing: Backing, random: () => number) {
    this.backing = backing
    this.random = random
  }

  static async start(backing: Backing, random: () => number, nodes: number): Promise<RealFleet> {
    const fleet = new RealFleet(backing, random)
    release({}, () => fleet.stop())
    fleet.#writer = await fleet.open('writer', backing.server?.port ?? 0, { hint() {}, bus() {} })
    await fleet.write({ n: 0 })
    for (let index = 0; index < nodes; index++) {
      const relay = backing.server && (await startRelay(backing.server.port))
      const node = new RealNode(fleet, `lb-${index}`, relay)
      fleet.nodes.push(node)
      await node.start()
    }
    return fleet
  }

  get store(): ConfigStore {
    if (this.#writer === undefined) throw new Error('the fleet is not started')
    return this.#writer.store
  }

  /**
   * Writes the next revision and announces it.
   * @returns its id when the store has acknowledged it; undefined: it has not, or nobody knows
   */
  async write(config: Config, announced = true): Promise<string | undefined> {
    const writer = this.#writer as Member
    try {
      const head = await this.store.get('config', { fresh: true })
      const [value, id] = [encodeConfig(config), newId()]
      if (config.bad) this.bad.add(id)
      const put = () => writer.store.put('config', value, head?.revision ?? null, id, { by: 'test' })
      const result = await put()
      if (result.status === 'unknown') this.#unsettled = put
      if (result.status !== 'committed') return undefined
      if (announced) await writer.sync.announce?.('config', result.revision).catch(() => {})
      return id
    } catch {
      // The store is away: that is what the schedule does to it.
      return undefined
    }
  }

  /** Asks for the fate of a write that nobody knew. */
  async settle(): Promise<void> {
    while (this.#unsettled) {
      const { status } = await this.#unsettled()
      if (status !== 'unknown') this.#unsettled = undefined
    }
  }

  /** A store and its sync as a process of the fleet has them. */
  async open(id: string, port: number, listener: WatchListener, boot = randomUUID()): Promise<Member> {
    const { backing, registry: plugins, random } = this
    const common = { registry: plugins, fleet: this.name, clock: systemClock, random, metrics }
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const data = this.folder
    const opened = await openStore(
      { use: backing.store, options: backing.storeOptions(port), path: 'store' },
      { ...common, log, data, node: { id, boot } },
    )
    const use = { use: backing.sync, options: backing.syncOptions(port), path: 'sync', pollMs, reconcileMs }
    const sync = await openSync(use, {
      ...{ ...common, log, store: opened.store, documents: ['config'] },
      self: { id, boot, role: 'lb', address: '127.0.0.1:1', zone: '' },
      hint: (document, revision) => listener.hint(document, revision),
      bus: (state) => listener.bus(state),
    })
    const stop = async (): Promise<void> => {
      await sync.stop()
      await opened.stop()
    }
    return { store: opened.store, sync: sync.sync, stop }
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop()
    await this.#writer?.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** As the engine tells it. */
type Taken = RevisionAt & { readonly branch: number }

export class RealNode {
  readonly fleet: RealFleet
  readonly id: string
  readonly relay: Relay | undefined
  readonly served: Config[] = []
  /** Every revision that was taken, in order, over restarts; `branch` counts the forks that a start has followed. */
  readonly taken: Taken[] = []
  /** Alarms. */
  forks = 0
  engine: SyncEngine | undefined
  #member: Member | undefined

  constructor(fleet: RealFleet, id: string, relay: Relay | undefined) {
    this.fleet = fleet
    this.id = id
    this.relay = relay
  }

  async start(): Promise<void> {
    const { fleet, id } = this
    const boot = randomUUID()
    const told: { engine?: SyncEngine } = {}
    const log = {
      debug() {},
      warn() {},
      info: (message: string, fields?: Record<string, unknown>): void => {
        if (message.endsWith('is served') && fields) this.taken.push(fields as unknown as Taken)
      },
      error: (message: string): void => {
        if (message.includes('FORK')) this.forks++
      },
    }
    const listener: WatchListener = {
      hint: (document, revision) => told.engine?.hint(document, revision),
      bus: (state) => told.engine?.bus(state),
    }
    const port = this.relay?.port ?? 0
    this.#member = await fleet.open(id, port, listener, boot)
    const engine = new SyncEngine({
      ...{ store: this.#member.store, clock: systemClock, random: fleet.random, log, pollMs, reconcileMs },
      node: { id, boot },
      forkHoldMs: fleet.backing.forkHoldMs,
      lastGood: new LastKnownGoodFiles(join(fleet.folder, id), fleet.name, log),
      newId,
      use: async (data) => {
        const config = data as Config
        if (config.bad)
          return {
            status: 'refused',
            problems: [{ code: 'MR_CONFIG_INVALID', message: `${config.n} is bad` }],
          }
        this.served.push(config)
        return { status: 'used' }
      },
    })
    told.engine = engine
    this.engine = engine
    await engine.start()
  }

  hint(revision: RevisionRef): void {
    this.engine?.hint('config', revision)
  }

  /** As `kill -9` and a start: nothing is left but the disk. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  async stop(): Promise<void> {
    await this.engine?.stop()
    await this.#member?.stop()
  }
}
