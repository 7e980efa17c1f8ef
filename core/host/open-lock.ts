/** Makes the lock plugin of this process. */
import type { PluginUse } from '../config/snapshot.ts'
import type { ConfigStore } from '../contracts/config-store.ts'
import type { Locker } from '../contracts/lock.ts'
import type { Log, Metrics } from '../contracts/plugin.ts'
import type { FleetNode } from '../contracts/process.ts'
import { type RawClock, systemClock } from './clock.ts'
import { MillraceError } from './errors.ts'
import { createInstance } from './instance.ts'
import { type MainUses, startMainUse } from './main-use.ts'
import type { PluginRegistry } from './registry.ts'

export interface LockDeps {
  readonly registry: Pick<PluginRegistry, 'find'>
  /** Absent: locks that need it say so. */
  readonly store?: ConfigStore
  /** Whose locks these are. */
  readonly fleet: string
  readonly self: FleetNode
  /** Default: the system's. */
  readonly clock?: RawClock
  random(): number
  readonly log: Log
  /** Default: not kept. */
  readonly metrics?: Metrics
  /** Absent: it is not made anew where its code throws outside of any hook. */
  readonly uses?: MainUses
}

export interface OpenLock {
  readonly locker: Locker
  /** Frees what is held. Idempotent; never rejects. */
  stop(): Promise<void>
}

const nothing = { add() {}, set() {} }
const noMetrics: Metrics = { counter: () => nothing, gauge: () => nothing }

/** @throws MR_PLUGIN_UNKNOWN, MR_PLUGIN_OPTIONS, MR_PLUGIN_CREATE, MR_PLUGIN_TIMEOUT; servers that are away are none of these */
export async function openLock(use: PluginUse, deps: LockDeps): Promise<OpenLock> {
  const { registry, store, fleet, self, clock = systemClock, random, log, metrics = noMetrics, uses } = deps
  const refuse = async (): Promise<never> => {
    throw new MillraceError('MR_NETWORK', 'a lock sends no messages to other nodes')
  }
  const loaded = registry.find('lock', use.use)
  const made = await startMainUse<'lock'>({
    ...{ loaded, id: 'lock', clock, log, uses },
    make: () =>
      createInstance(loaded, 'lock', use.options, {
        ...{ id: 'lock', path: use.path, clock, log, metrics, store, fleet },
        random: () => random(),
        network: { send: refuse, request: refuse, onMessage() {}, onRequest() {} },
        members: { self, all: () => [self], watch: () => ({ cancel() {} }) },
      }),
  })
  const locker: Locker = {
    async acquire(name, options) {
      const { instance } = made
      if (instance) return made.inside(() => instance.acquire(name, options))
      const message = `lock ${name}: the plugin of the lock has thrown outside of any hook, and is made anew`
      throw new MillraceError('MR_STORE_UNAVAILABLE', message)
    },
  }
  return { locker, stop: () => made.stop() }
}
