/** Kind `health-source`: finds out which backends can serve. One instance per service, on the main thread of a
 * stand-alone LB server or in an orchestrator worker. It reports raw results; `rise`, `fall` and `initial` are applied by
 * the core, so every source behaves alike. An instance whose code throws outside of `update` and `context.clock` is stopped and made
 * anew (see `process.ts`); what is known of the backends stays meanwhile. */
import type { Member } from './algorithm.ts'
import type { ConfigStore } from './config-store.ts'
import type { PluginContext } from './plugin.ts'

/** Something to watch: a backend of a service. */
export interface HealthTarget extends Member {
  /** `service/url`, what results are reported under. */
  readonly id: string
  readonly service: string
  /** TLS of the service's connections to its backends (CA, server name, client certificate), for probes over https. */
  readonly tls: BackendTls | undefined
}

/** How a connection to an https backend is verified. PEM text, already read. */
export interface BackendTls {
  readonly verify: boolean
  readonly ca: string | undefined
  readonly serverName: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** One raw observation. */
export interface HealthResult {
  readonly up: boolean
  /** Short, for people: `status 503`, `connect ECONNREFUSED`. */
  readonly reason?: string
  /** How long the probe took, in milliseconds. */
  readonly ms?: number
}

export interface HealthContext extends PluginContext {
  /** Slot keys of the use, read by the core: how often, and how long a probe may take. Milliseconds. */
  readonly intervalMs: number
  readonly timeoutMs: number
  /** The fleet's store; undefined where there is none. */
  readonly store: ConfigStore | undefined
  /**
   * Reports one raw result. A target that is not watched (any more) is ignored. `rise` results in a row make a backend
   * available again, `fall` make it unavailable; a result that came while the event loop had stalled over 1 s is dropped.
   */
  report(id: string, result: HealthResult): void
  /** As `report`, but authoritative: takes effect at once, without `rise` and `fall` (`static`, `store`). */
  set(id: string, result: HealthResult): void
}

export interface HealthSource {
  /** The whole list of targets, at start and whenever it changes. Targets that stay keep their schedule. */
  update(targets: readonly HealthTarget[]): void
}
