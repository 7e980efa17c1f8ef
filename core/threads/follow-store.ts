/** An LB server that lives from a config store: the store, what tells of its changes, the engine, and what was good last. */
import { randomBytes, randomUUID } from 'node:crypto'
import { overridesDocument } from '../config/overrides.ts'
import type { Config, SyncUse } from '../config/snapshot.ts'
import { SyncEngine } from '../config/sync/engine.ts'
import { LastKnownGoodFiles } from '../config/sync/last-known-good.ts'
import { NodeLease } from '../config/sync/node-lease.ts'
import { OverridesFollower } from '../config/sync/overrides-follower.ts'
import type { SyncState } from '../config/sync/state.ts'
import { StoreOverrides } from '../config/sync/store-overrides.ts'
import { configDocument } from '../config/sync/value.ts'
import type { ConfigStore, RevisionRef } from '../contracts/config-store.ts'
import type { Log } from '../contracts/plugin.ts'
import { withNodePort } from '../fleet/address.ts'
import { type RawClock, systemClock } from '../host/clock.ts'
import { MillraceError } from '../host/errors.ts'
import { within } from '../host/instance-scope.ts'
import { type OpenBackups, openBackups } from '../host/open-backups.ts'
import { type OpenRelay, openRelay } from '../host/open-relay.ts'
import { type OpenStore, openStore } from '../host/open-store.ts'
import { type OpenSync, openSync, syncUse } from '../host/open-sync.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { ApplyResult } from './apply.ts'
import { Halves } from './halves.ts'
import type { LbServer } from './lb-server.ts'

const followed = [configDocument, overridesDocument]

/** How long each part has to end: to give its lock back, to say goodbye, to finish what is being applied. */
const endMs = 1000

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
  #overrides: OverridesFollower | undefined
  #lease: NodeLease | undefined
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
    const uses = server.mainUses
    this.#store = this.#options.store
      ? { store: this.#options.store, stop: async () => {} }
      : await openStore(storeUse ?? { use: '', options: {}, path: 'store' }, {
          ...{ registry, fleet, node: { id: node.id, boot }, data: node.data, directory, clock, log },
          ...{ random, uses },
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
    const overrides = this.#followOverrides(store, use)
    server.showSync(() => this.state ?? engine.state())
    const started = engine.start()
    overrides.start()
    this.#lease = new NodeLease({ store, clock, random, log, node: { id: node.id, boot } })
    this.#lease.start()
    this.#sync = await openSync(use, {
      ...{ fleet, fleetKeys, registry, store, self, documents: followed },
      ...{ directory, clock, random, log, uses },
      metrics: server.metricsOf('sync', use.use),
      hint: (document, revision) => {
        engine.hint(document, revision)
        overrides.hint(document, revision)
      },
      bus: (state) => {
        overrides.bus(state)
        engine.bus(state)
      },
    })
    const metrics = server.metricsOf('lock', 'store')
    const parts = { registry, store, fleet, self, clock, random, log, metrics, uses }
    this.#relay = await openRelay({ ...parts, sync: this.#sync.sync, documents: followed })
    const { backup } = config.bootstrap
    if (backup) this.#backups = await openBackups(backup, { ...parts, env: this.#options.env ?? process.env })
    await started
  }

  /** Of the config; reads and polling are those of all that is followed. */
  get state(): SyncState | undefined {
    const [state, overrides] = [this.#engine?.state(), this.#overrides]
    if (!state || !overrides) return state
    return {
      ...state,
      ...{ relay: this.#relay?.relay.state, backup: this.#backups?.schedule.state },
      reads: state.reads + overrides.reads,
      polling: state.polling || overrides.polling,
    }
  }

  /** @throws MR_STORE_UNAVAILABLE before {@link start} has made it */
  get store(): ConfigStore {
    if (this.#store) return this.#store.store
    throw new MillraceError('MR_STORE_UNAVAILABLE', 'the store is not open yet')
  }

  /** Tells the fleet of a committed write. What cannot be told now stays in the store's outbox. */
  announce(document: string, revision: RevisionRef): void {
    const sync = this.#sync?.sync
    if (!sync?.announce) return
    const { number, id } = revision
    // What a plugin throws at once must not fail the write, which is committed.
    Promise.resolve()
      .then(() => sync.announce?.(document, { number, id }))
      .then(() => this.#store?.store.markAnnounced(document, { number, id }))
      .catch((error: unknown) => this.#options.log.debug(`${document} was not announced`, { error }))
  }

  #followOverrides(store: ConfigStore, use: SyncUse): OverridesFollower {
    const { server, log, clock = systemClock, random = Math.random } = this.#options
    const { overrides } = server
    const follower = new OverridesFollower({
      ...{ store, clock, random, log, pollMs: use.pollMs, reconcileMs: use.reconcileMs, seen: overrides.at },
      use: (document, at) => overrides.use(document, at),
    })
    const documents = new StoreOverrides({
      ...{ store, clock },
      newId: () => randomBytes(12).toString('hex'),
      committed: (document, revision) => this.announce(document, revision),
    })
    overrides.share({
      async change(edit, note) {
        await documents.change({ edit, ...note })
        await follower.look()
      },
    })
    this.#overrides = follower
    return follower
  }

  /** The local half was read again. What was refused for its sake may be right now. */
  async apply(config: Config, registry?: PluginRegistry): Promise<ApplyResult> {
    const result = await this.#halves.useLocal(config, registry ?? this.#options.registry)
    if (result.status !== 'refused') this.#engine?.retry()
    return result
  }

  /** Nothing more is taken from the store; what is being applied has a second to end. Idempotent; never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const { clock = systemClock, log } = this.#options
    this.#overrides?.stop()
    const parts = {
      ...{ config: this.#engine, sync: this.#sync, relay: this.#relay, backups: this.#backups },
      lease: this.#lease,
    }
    // What hangs does not hold up the drain: locks lapse, and a change that is being applied is one as the drain begins.
    const ends = Object.entries(parts).map(([part, owner]) =>
      within(clock, endMs, () => owner?.stop()).catch((error: unknown) =>
        log.debug(`${part}: has not ended, and is left to itself`, { error }),
      ),
    )
    await Promise.all(ends)
    await this.#store?.stop()
  }
}
