/** What an LB server is started with, and where it says it listens. */
import type { Config } from '../config/snapshot.ts'
import type { Log } from '../contracts/plugin.ts'
import type { RawClock } from '../host/clock.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { MainPlugins } from './main-plugins.ts'

export interface LbServerOptions {
  readonly config: Config
  /** Module that exports `builtins`; each thread imports it. */
  readonly builtinsUrl: URL
  readonly log: Log
  /** Already loaded plugins of the main thread; absent: they are loaded from the config. */
  readonly registry?: PluginRegistry
  /** Of whoever catches what is thrown on this thread; absent: nobody does. */
  readonly main?: MainPlugins
  readonly clock?: RawClock
  readonly random?: () => number
  /** Versions of plugin code that a data thread loads before it is replaced; default 200. */
  readonly longestHistory?: number
  /** How long the clients of such a thread are told to come back over another connection, in milliseconds; default 5 s. */
  readonly closingMs?: number
  /** Called when a config is served that was not served before. */
  readonly applied?: () => void
  /** Module that exports `DataPlane`; for tests. */
  readonly dataPlaneUrl?: URL
}

export interface BoundListener {
  readonly name: string
  /** Host as configured, or the path of a unix socket. */
  readonly address: string
  /** 0 for unix sockets. */
  readonly port: number
}
