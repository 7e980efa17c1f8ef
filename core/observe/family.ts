/** What metric families are, and what they are read from. */
import type { SyncState } from '../config/sync/state.ts'
import type { PluginState } from '../threads/plugin-health.ts'
import type { PluginMetricsReader } from './plugin-metrics.ts'
import type { StateSources } from './service-state.ts'

/** What only the main thread knows of itself. */
export interface NodeState {
  readonly version: string
  /** Of the snapshot that is served. */
  readonly revision: number
  /** The start counts as the first. `at` in wall-clock milliseconds. */
  readonly lastReload: { readonly ok: boolean; readonly at: number }
  readonly draining: boolean
  readonly threads: readonly { readonly ready: boolean; readonly restarts: number }[]
  /** Plugins that were ever at fault. */
  readonly plugins?: readonly PluginState[]
  /** undefined: the config is a file. */
  readonly sync?: SyncState
  /** Stalls of the main thread's own event loop. */
  readonly mainStalls?: { readonly count: number; readonly ms: number }
}

export interface MetricsSources extends StateSources {
  readonly plugins: PluginMetricsReader
  node(): NodeState
}

/** Label values and a number. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

/** A counter or gauge, and where its samples come from. */
export interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly labels: readonly string[]
  read(sources: MetricsSources): Iterable<Sample>
}

/** A histogram over services. */
export interface LatencyFamily {
  readonly name: string
  readonly help: string
  /** Where it begins in `serviceLayout`. */
  readonly cell: number
  /** Upper bounds in milliseconds, each the bound of a cell. */
  readonly boundsMs: readonly number[]
}
