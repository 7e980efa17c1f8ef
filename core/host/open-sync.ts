/** Makes the sync plugin of this process: one subscription, on the main thread. */
import type { Bootstrap, SyncUse } from '../config/snapshot.ts'
import { inheritOptions } from '../config/sync-options.ts'
import { readSync } from '../config/uses.ts'
import type { ConfigStore, RevisionRef } from '../contracts/config-store.ts'
import type { ConfigSync } from '../contracts/config-sync.ts'
import type { Log, Metrics } from '../contracts/plugin.ts'
import type { FleetNode, Members, Network } from '../contracts/process.ts'
import type { RawClock } from './clock.ts'
import { MillraceError } from './errors.ts'
import { createInstance } from './instance.ts'
import type { PluginRegistry } from './registry.ts'

export interface SyncDeps {
  readonly registry: PluginRegistry
  readonly store: ConfigStore
  /** Whose changes these are. */
  readonly fleet: string
  readonly self: FleetNode
  /** Prefixes of the documents that matter here. */
  readonly documents: readonly string[]
  /** What relative paths of its options are taken from; default: the working directory. */
  readonly directory?: string
  readonly clock: RawClock
  random(): number
  readonly log: Log
  readonly metrics: Metrics
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

/** @throws MR_PLUGIN_UNKNOWN, MR_PLUGIN_OPTIONS, MR_PLUGIN_CREATE, MR_PLUGIN_TIMEOUT; a bus that is down is none of these */
export async function openSync(use: SyncUse, deps: SyncDeps): Promise<OpenSync> {
  const { registry, store, fleet, self, documents, directory, clock, random, log, metrics } = deps
  const made = await createInstance(registry.find('config-sync', use.use), 'config-sync', use.options, {
    ...{ id: 'sync', path: use.path, directory, clock, log, metrics, store, fleet, documents },
    random: () => random(),
    network: noNetwork(),
    members: alone(self),
    hint: (document, revision) => deps.hint(document, revision),
    bus: (state) => deps.bus(state),
  })
  return { sync: made.instance, stop: () => made.stop() }
}

function alone(self: FleetNode): Members {
  const all = [self]
  return { self, all: () => all, watch: () => ({ cancel() {} }) }
}

/** Messages between nodes need `fleetKey`, which this version does not have: a plugin that sends any is told so. */
function noNetwork(): Network {
  const refuse = async (): Promise<never> => {
    throw new MillraceError('MR_NETWORK', 'messages between nodes are not available in this version')
  }
  return { send: refuse, request: refuse, onMessage() {}, onRequest() {} }
}
