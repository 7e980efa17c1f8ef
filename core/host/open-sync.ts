/** Makes the sync plugin of this process: one subscription, on the main thread. */
import type { Bootstrap, SyncUse } from '../config/snapshot.ts'
import { inheritOptions } from '../config/sync-options.ts'
import { readSync } from '../config/uses.ts'
import type { ConfigStore, RevisionRef } from '../contracts/config-store.ts'
import type { ConfigSync } from '../contracts/config-sync.ts'
import type { Log, Metrics } from '../contracts/plugin.ts'
import type { FleetNode, Members } from '../contracts/process.ts'
import { StoreMembers } from '../fleet/members.ts'
import { FleetNetwork } from '../fleet/network.ts'
import type { RawClock } from './clock.ts'
import { MillraceError } from './errors.ts'
import { createInstance } from './instance.ts'
import { type MainUse, type MainUses, startMainUse } from './main-use.ts'
import type { PluginRegistry } from './registry.ts'

export interface SyncDeps {
  readonly registry: PluginRegistry
  readonly store: ConfigStore
  /** Whose changes these are. */
  readonly fleet: string
  /** Secrets of the fleet, the first seals. Default: none. */
  readonly fleetKeys?: readonly string[]
  /** Its address is where the messages of the other nodes are taken. */
  readonly self: FleetNode
  /** Prefixes of the documents that matter here. */
  readonly documents: readonly string[]
  /** What relative paths of its options are taken from; default: the working directory. */
  readonly directory?: string
  readonly clock: RawClock
  random(): number
  readonly log: Log
  readonly metrics: Metrics
  /** Absent: it is not made anew where its code throws outside of any hook. */
  readonly uses?: MainUses
  hint(document: string, revision?: RevisionRef): void
  bus(state: 'up' | 'down'): void
}

export interface OpenSync {
  readonly sync: ConfigSync
  /** Nothing is hinted any more. Idempotent; never rejects. */
  stop(): Promise<void>
}

/** What the config says, or what suits the store: its own sync, its watch, or polling. */
export function syncUse(
  { store: storeUse, sync }: Pick<Bootstrap, 'store' | 'sync'>,
  store: ConfigStore,
  registry: PluginRegistry,
): SyncUse {
  const own = storeUse && registry.has('config-sync', storeUse.use) ? storeUse.use : undefined
  const use = sync?.use ?? own ?? (store.watch ? 'native' : 'poll')
  const { poll, reconcile } = readSync(use)
  const wanted = sync ?? { use, options: {}, path: 'sync', pollMs: poll, reconcileMs: reconcile }
  return storeUse ? { ...wanted, options: inheritOptions(registry.catalog(), storeUse, wanted) } : wanted
}

/** @throws MR_PLUGIN_UNKNOWN, MR_PLUGIN_OPTIONS, MR_PLUGIN_CREATE, MR_PLUGIN_TIMEOUT; MR_LISTEN, MR_NETWORK when messages cannot
 * be taken at the node's address; a bus that is down is none of these */
export async function openSync(use: SyncUse, deps: SyncDeps): Promise<OpenSync> {
  const {
    registry,
    store,
    fleet,
    fleetKeys = [],
    self,
    documents,
    directory,
    clock,
    random,
    log,
    metrics,
    uses,
  } = deps
  const members = new StoreMembers({ self, store, clock, random: () => random(), log })
  const network = new FleetNetwork({
    ...{ fleet, self, keys: fleetKeys, clock, log },
    dropped: (reason) => metrics.counter(`messages_dropped_${reason}`, `Messages dropped: ${reason}.`).add(),
  })
  const outside = (work: () => void): void => (uses ? uses.outside(work) : work())
  let made: MainUse<'config-sync'> | undefined
  const stop = async (): Promise<void> => {
    // The plugin may say goodbye.
    await made?.stop()
    members.stop()
    await network.close()
  }
  try {
    const loaded = registry.find('config-sync', use.use)
    made = await startMainUse<'config-sync'>({
      ...{ loaded, id: 'sync', clock, log, uses },
      make: (isCurrent) =>
        createInstance(loaded, 'config-sync', use.options, {
          ...{ id: 'sync', path: use.path, directory, clock, log, metrics },
          ...{ store, fleet, fleetKeys, documents, members: membersWhile(isCurrent, members) },
          random: () => random(),
          network: network.for(`config-sync ${use.use}`),
          hint(document, revision) {
            if (isCurrent()) outside(() => deps.hint(document, revision))
          },
          bus(state) {
            if (isCurrent()) outside(() => deps.bus(state))
          },
        }),
      changed(instance) {
        // Without an instance nothing is hinted: the store is polled.
        if (!instance) deps.bus('down')
      },
    })
    await network.ready()
    return { sync: syncOf(made), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Changes are told to the instance while it is heard. */
function membersWhile(isCurrent: () => boolean, members: Members): Members {
  return {
    self: members.self,
    all: () => members.all(),
    watch(changed) {
      const watching = members.watch(() => (isCurrent() ? changed() : watching.cancel()))
      return watching
    },
  }
}

/** What is announced while there is no instance stays in the outbox. */
function syncOf(use: MainUse<'config-sync'>): ConfigSync {
  // Which kind of sync it is does not change: all its instances are of the same code and options.
  if (use.instance && !use.instance.announce) return {}
  return {
    async announce(document, revision) {
      const { instance } = use
      const message = 'the plugin of the sync has thrown outside of any hook, and is made anew'
      if (!instance) throw new MillraceError('MR_NETWORK', message)
      await use.inside(() => instance.announce?.(document, revision))
    },
  }
}
