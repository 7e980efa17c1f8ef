/** An LB server that lives from a config store: the store, what tells of its changes, the engine, and what was good last. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Config } from '../config/snapshot.ts'
import { SyncEngine } from '../config/sync/engine.ts'
import { LastKnownGoodFiles } from '../config/sync/last-known-good.ts'
import type { SyncState } from '../config/sync/state.ts'
import { configDocument } from '../config/sync/value.ts'
import type { ConfigStore } from '../contracts/config-store.ts'
import type { Log } from '../contracts/plugin.ts'
import { withNodePort } from '../fleet/address.ts'
import { type RawClock, systemClock } from '../host/clock.ts'
import { within } from '../host/instance-scope.ts'
import { type OpenBackups, openBackups } from '../host/open-backups.ts'
import { type OpenRelay, openRelay } from '../host/open-relay.ts'
import { type OpenStore, openStore } from '../host/open-store.ts'
import { type OpenSync, openSync, syncUse } from '../host/open-sync.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { ApplyResult } from './apply.ts'
import { Halves } from './halves.ts'
import type { LbServer } from './lb-server.ts'

/** How long the relay and the backups have to give their locks back. */
const besideMs = 1000

export interface FollowOptions {
  readonly server: LbServer
  /** The local half; has a `store`. */
  readonly config: Config
  readonly registry: PluginRegistry
  readonly log: Log
  readonly clock?: RawClock
  random?(): number
  /** Of the commands that take backups; default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Instead of the config's; for tests. */
  readonly store?: ConfigStore
}

/**
 * Settles when a config is served, or when there is none for now; the server is then unready and takes the first that comes.
 * @throws MR_PLUGIN_* when the store or its sync cannot be made; nothing is left running then
 */
export async function followStore(options: FollowOptions): Promise<StoreFollower> {
  const follower = new StoreFollower(options)
  try {
    await follower.start()
    return follower
  } catch (error) {
    await follower.stop()
    throw error
  }
}

export class StoreFollower {
  readonly #options: FollowOptions
  readonly #halves: Halves
  #store: OpenStore | undefined
  #sync: OpenSync | undefined
  #relay: OpenRelay | undefined
  #backups: OpenBackups | undefined
  #engine: SyncEngine | undefined
  #stopped: Promise<void> | undefined

  /** Use {@link followStore}. */
  constructor(options: FollowOptions) {
    const { server, config, registry } = options
    this.#options = options
    this.#halves = new Halves(server, { config, registry })
  }

  async start(): Promise<void> {
    const { server, config, registry, log, clock = systemClock, random = Math.random } = this.#options
    const { fleet, fleetKeys, node, store: storeUse } = config.bootstrap
    const { directory } = config.snapshot
    const boot = randomUUID()
    const address = withNodePort(node.advertise)
    const self = { id: node.id, boot, role: 'lb', address, zone: node.zone } as const
    this.#store = this.#options.store
      ? { store: this.#options.store, stop: async () => {} }
      : await openStore(storeUse ?? { use: '', options: {}, path: 'store' }, {
          ...{ registry, fleet, node: { id: node.id, boot }, data: node.data, directory, clock, log },
          random,
          metrics: server.metricsOf('store', storeUse?.use ?? ''),
        })
    const { store } = this.#store
    const use = syncUse(config.bootstrap, store, registry)
    const engine = new SyncEngine({
      ...{ store, clock, random, log, node: self },
      ...{ pollMs: use.pollMs, reconcileMs: use.reconcileMs },
      lastGood: new LastKnownGoodFiles(node.data, fleet, log),
      use: (data, origin) => this.#halves.useDynamic(data, origin),
      newId: () => randomBytes(12).toString('hex'),
    })
    this.#engine = engine
    server.showSync(() => ({
      ...engine.state(),
      ...{ relay: this.#relay?.relay.state, backup: this.#backups?.schedule.state },
    }))
    const started = engine.start()
    this.#sync = await openSync(use, {
      ...{ fleet, fleetKeys, registry, store, self, documents: [configDocument] },
      ...{ directory, clock, random, log },
      metrics: server.metricsOf('sync', use.use),
      hint: (document, revision) => engine.hint(document, revision),
      bus: (state) => engine.bus(state),
    })
    const metrics = server.metricsOf('lock', 'store')
    const parts = { registry, store, fleet, self, clock, random, log, metrics }
    this.#relay = await openRelay({ ...parts, sync: this.#sync.sync })
    const { backup } = config.bootstrap
    if (backup) this.#backups = await openBackups(backup, { ...parts, env: this.#options.env ?? process.env })
    await started
  }

  get state(): SyncState | undefined {
    return this.#engine?.state()
  }

  /** The local half was read again. What was refused for its sake may be right now. */
  async apply(config: Config, registry?: PluginRegistry): Promise<ApplyResult> {
    const result = await this.#halves.useLocal(config, registry ?? this.#options.registry)
    if (result.status !== 'refused') this.#engine?.retry()
    return result
  }

  /** Nothing is applied any more. Idempotent; never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const { clock = systemClock } = this.#options
    const beside = Promise.all([this.#relay?.stop(), this.#backups?.stop()])
    await this.#sync?.stop()
    await this.#engine?.stop()
    // A store that hangs does not hold up the drain: then their locks lapse.
    await within(clock, besideMs, () => beside).catch(() => {})
    await this.#store?.stop()
  }
}
