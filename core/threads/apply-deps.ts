/** What a change of the config is, what it needs, and what comes of it. */
import type { Config } from '../config/snapshot.ts'
import type { Clock, Log } from '../contracts/plugin.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import type { AccessLogSwitch } from './access-log-switch.ts'
import type { HealthRunner } from './health.ts'
import type { ErrorData } from './messages.ts'
import type { Overrides } from './overrides.ts'
import type { PluginHealth } from './plugin-health.ts'
import type { SharedState } from './shared-state.ts'
import type { Supervisor } from './supervise.ts'

export interface ApplyResult {
  /** `superseded`: a newer change came while this one waited for its turn. */
  readonly status: 'applied' | 'unchanged' | 'refused' | 'superseded'
  /** What is served now. */
  readonly revision: number
  /** Why it was refused. */
  readonly problems: readonly ErrorData[]
}

export interface ApplierDeps {
  readonly clock: Clock
  readonly log: Log
  /** With what plugins the process starts. */
  readonly registry: PluginRegistry
  readonly supervisor: Supervisor
  readonly health: HealthRunner
  readonly overrides: Overrides
  readonly state: SharedState
  readonly accessLog: AccessLogSwitch
  readonly pluginHealth: PluginHealth
  /** So many versions of plugin code, then a thread is replaced. */
  readonly longestHistory: number
  /** How long the clients of the old thread are told to come back over another connection; default 5 s. */
  readonly closingMs?: number
  /** The snapshot is the one served from now on. */
  committed(snapshot: ThreadSnapshot): void
}

/** A config, and the plugins that it was checked against. */
export interface Change {
  readonly config: Config
  readonly registry: PluginRegistry
}
