/** Makes the config store of this process: the first part of a node, before there is a network, members or an engine. */
import { resolve } from 'node:path'
import type { PluginUse } from '../config/snapshot.ts'
import type { ConfigStore, StoreContext } from '../contracts/config-store.ts'
import type { Log, Metrics } from '../contracts/plugin.ts'
import { type RawClock, systemClock } from './clock.ts'
import type { MillraceError } from './errors.ts'
import { createInstance } from './instance.ts'
import { KeptStore } from './kept-store.ts'
import { type MainUses, startMainUse } from './main-use.ts'
import type { PluginRegistry } from './registry.ts'

export interface StoreDeps {
  readonly registry: Pick<PluginRegistry, 'find'>
  readonly fleet: string
  readonly node: StoreContext['node']
  /** `node.data`; a relative path is taken from the working directory. */
  readonly data: string
  /** What relative paths of its options are taken from; default: the working directory. */
  readonly directory?: string
  /** Default: the system's. */
  readonly clock?: RawClock
  random(): number
  readonly log: Log
  /** Default: not kept. */
  readonly metrics?: Metrics
  /** A timer or a release of the store threw, and it was logged. */
  onFault?(error: MillraceError): void
  /** Absent: it is not made anew where its code throws outside of any hook. */
  readonly uses?: MainUses
}

export interface OpenStore {
  readonly store: ConfigStore
  /** Calls under way reject with MR_STORE_UNAVAILABLE, leases are left to lapse. Idempotent; never rejects. */
  stop(): Promise<void>
}

const nothing = { add() {}, set() {} }
const noMetrics: Metrics = { counter: () => nothing, gauge: () => nothing }

/**
 * @param use the parsed `store:` of the config
 * @throws MR_PLUGIN_UNKNOWN, MR_PLUGIN_OPTIONS, MR_PLUGIN_CREATE (what will not mend itself), MR_PLUGIN_TIMEOUT. A server that
 *   cannot be reached is none of these: the store is made, and its calls reject until the server is there
 */
export async function openStore(use: PluginUse, deps: StoreDeps): Promise<OpenStore> {
  const {
    registry,
    fleet,
    node,
    data,
    directory,
    clock = systemClock,
    random,
    log,
    metrics = noMetrics,
    uses,
  } = deps
  const loaded = registry.find('config-store', use.use)
  const store = new KeptStore()
  const made = await startMainUse<'config-store'>({
    ...{ loaded, id: 'store', clock, log, uses },
    make: () =>
      createInstance(loaded, 'config-store', use.options, {
        id: 'store',
        path: use.path,
        directory,
        clock,
        random: () => random(),
        log,
        metrics,
        onFault: (error) => deps.onFault?.(error),
        fleet,
        node,
        data: resolve(data),
      }),
    changed: (instance, use) => store.use(instance, (work) => use.inside(work)),
  })
  return { store, stop: () => made.stop() }
}
