/** What the admin listener says of the process: which parts are ready. */
import type { SyncState } from '../config/sync/state.ts'
import { configEntry } from './config-entry.ts'
import type { PluginState } from './plugin-health.ts'
import type { ThreadState } from './supervise.ts'

export interface ReadinessEntry {
  readonly name: string
  readonly ready: boolean
  readonly degraded?: boolean
  readonly detail?: string
}

export interface ReadinessSources {
  /** 0 while no config is served. */
  readonly revision: number
  readonly draining: boolean
  readonly threads: readonly ThreadState[]
  readonly plugins: readonly PluginState[]
  /** undefined: the config is a file. */
  readonly sync?: SyncState
}

/**
 * Plugins that are not well. They never make the process unready: every node runs the same plugins under the same traffic,
 * so all of them would leave together, and with them the routes that use no such plugin.
 */
function pluginsEntry(plugins: readonly PluginState[]): ReadinessEntry {
  const unwell = plugins.filter(({ healthy }) => !healthy)
  const lines = unwell.map(({ kind, plugin, recent, last, instead }) => {
    const faults = `${kind} ${plugin} is unhealthy: ${recent} faults within a minute, last ${last}`
    return instead ? `${faults}; ${instead}` : faults
  })
  return {
    name: 'plugins',
    ready: true,
    degraded: unwell.length > 0,
    detail: lines.join(' | ') || 'healthy',
  }
}

/** Ready to take traffic: a config is served by a thread at least, none of them dies again and again, and no drain has begun. */
export function readiness(sources: ReadinessSources): ReadinessEntry[] {
  const { revision, draining, threads, plugins } = sources
  const serving = threads.filter(({ status }) => status === 'serving').length
  const looping = threads.filter(({ crashLoop }) => crashLoop)
  return [
    configEntry(revision, sources.sync),
    {
      name: 'threads',
      ready: serving > 0 && looping.length === 0,
      detail: [
        `${serving} of ${threads.length} serving`,
        ...looping.map(
          ({ thread, lastError }) => `thread ${thread} keeps dying: ${lastError ?? 'no error given'}`,
        ),
      ].join('; '),
    },
    pluginsEntry(plugins),
    { name: 'drain', ready: !draining, detail: draining ? 'draining' : 'not draining' },
  ]
}
