/** Runs an LB server from its config file until the process is told to end: what `lb` and `up` have in common. */
import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import type { ApiServer } from '../core/api/server.ts'
import { usualApi } from '../core/config/check-api.ts'
import type { ConfigSource } from '../core/config/load.ts'
import type { Config } from '../core/config/snapshot.ts'
import type { Log } from '../core/contracts/plugin.ts'
import { systemClock } from '../core/host/clock.ts'
import { MillraceError } from '../core/host/errors.ts'
import { within } from '../core/host/instance-scope.ts'
import type { PluginRegistry } from '../core/host/registry.ts'
import type { ApplyResult } from '../core/threads/apply.ts'
import { CodeRoom } from '../core/threads/code-room.ts'
import { followStore, type StoreFollower } from '../core/threads/follow-store.ts'
import { type LbServer, startLbServer } from '../core/threads/lb-server.ts'
import { MainPlugins } from '../core/threads/main-plugins.ts'
import { type ReloadOptions, startReload } from '../core/threads/reload.ts'
import { type EndSignal, onEndSignals, onTerminalGone } from './end-signals.ts'
import { builtinsUrl, type Loaded, loadWithPlugins, tellWarnings } from './load.ts'
import type { Terminal } from './terminal.ts'
import { onUncaught } from './uncaught.ts'

export interface ServeOptions {
  readonly source: ConfigSource & { readonly path: string }
  readonly env: Terminal['env']
  readonly terminal: Terminal
  readonly log: Log
  /** A person watches: Ctrl-C ends without the delay of the drain. */
  readonly interactive: boolean
  /** Of millrace. */
  readonly version: string
  /** The API is there where there is a store, unless the config says otherwise; else only where the config says so. */
  readonly api: 'usual' | 'configured'
  /** @param api undefined where there is none */
  started(server: LbServer, loaded: Loaded, api: ApiServer | undefined): void
}

/** Where a person or a client finds a listener. */
export function listenerUrl(server: LbServer, name: string): string {
  const bound = server.listeners.find((listener) => listener.name === name)
  const configured = server.served?.listeners.find((listener) => listener.name === name)
  if (bound === undefined || configured === undefined) return ''
  if (configured.socketPath !== '') return `unix:${configured.socketPath}`
  const host = bound.address.includes(':') ? `[${bound.address}]` : bound.address
  return `${configured.tls ? 'https' : 'http'}://${host}:${bound.port}/`
}

/** Says where it listens, as soon as it does: what comes from a store may come late, and a reload may bring other listeners. */
class LateListeners {
  readonly #server: LbServer
  readonly #log: Log
  #known: readonly string[] | undefined

  constructor(server: LbServer, log: Log) {
    this.#server = server
    this.#log = log
  }

  /** Those of now are told by somebody else; those that come are told here. */
  begin(): void {
    this.#known = this.#all()
  }

  look(): void {
    if (!this.#known) return
    const before = this.#known
    this.begin()
    this.#server.listeners.forEach(({ name }, index) => {
      const url = this.#known?.[index] ?? ''
      if (!before.includes(url)) this.#log.info('listening', { listener: name, url })
    })
  }

  #all(): string[] {
    return this.#server.listeners.map(({ name }) => listenerUrl(this.#server, name))
  }
}

/** How long the drain waits for requests to the API that are under way. */
const apiEndMs = 2000

type ReloadedServer = ReloadOptions['server']

const signalNumbers: Readonly<Record<EndSignal, number>> = { SIGINT: 2, SIGTERM: 15 }

/**
 * @returns the exit status: 0 after an orderly end, 128 + the signal's number after an immediate one
 * @throws ConfigError, MillraceError when it does not start
 */
export async function serve(options: ServeOptions): Promise<number> {
  const { terminal, interactive } = options
  const end = new AbortController()
  const main = new MainPlugins({ clock: systemClock, log: options.log })
  const ignoreUncaught = onUncaught(process, {
    ...{ main, terminal, log: options.log },
    end: (status) => process.exit(status),
  })
  // Below frames of the platform those of a plugin are not to be cut off: by them it is known.
  Error.stackTraceLimit = 50
  const doubled =
    terminal.env.MILLRACE_SIGNALS === 'doubled' || terminal.env.npm_lifecycle_event !== undefined
  return await new Promise<number>((resolve, reject) => {
    onEndSignals(process, systemClock, doubled, {
      first: (signal) => end.abort({ why: signal, skipDelay: interactive && signal === 'SIGINT' }),
      second(signal) {
        options.log.warn(`${signal} again: ending at once`)
        resolve(128 + signalNumbers[signal])
      },
    })
    if (interactive) onTerminalGone(() => end.abort({ why: 'the terminal is gone', skipDelay: true }))
    run(options, main, end.signal).then(() => resolve(0), reject)
  }).finally(ignoreUncaught)
}

/**
 * The way of a request is a hundred functions that call one another, of which V8 by its own limits inlines few (bytes of
 * bytecode: 460 a function, 920 in all). With these it costs 2 to 3 % less CPU (docs/decisions/0007). Read at each compilation.
 */
const inliningFlags = [
  '--max-inlined-bytecode-size=3000',
  '--max-inlined-bytecode-size-cumulative=9000',
  '--max-inlined-bytecode-size-absolute=20000',
]

/** Starts, serves until `end` fires, and drains. */
async function run(options: ServeOptions, main: MainPlugins, end: AbortSignal): Promise<void> {
  const { source, env, terminal, log } = options
  const room = new CodeRoom()
  const load = (): Promise<Loaded> => loadWithPlugins(source, env, (plugin) => room.load(plugin))
  const loaded = await load()
  const { config, registry } = loaded
  tellWarnings(config, terminal)
  // Each core has its data thread: helpers of the collector would only take it from one. Measured with one core, a
  // collection of the young generation takes 0.2 ms alone and 0.5 to 1.8 ms with helpers. (bin.js has set it where it could.)
  setFlagsFromString('--no-parallel-scavenge')
  for (const flag of inliningFlags) setFlagsFromString(flag)
  let late: LateListeners | undefined
  const applied = (): void => late?.look()
  const server = await startLbServer({ config, registry, builtinsUrl, log, main, applied })
  late = new LateListeners(server, log)
  const follower = config.bootstrap.store ? await follow(server, loaded, log) : undefined
  const half = follower && new LocalHalf(server, follower, registry)
  const api = half && (await hostApi(half, options, loaded))
  const reload = startReload({ server: half ?? server, config, load, log })
  options.started(server, loaded, api)
  late.begin()
  if (!end.aborted) await once(end, 'abort')
  reload.stop()
  const { why, skipDelay } = end.reason as EndReason
  server.leave()
  log.info(`${why}: draining; a second signal ends at once`)
  if (api)
    await within(systemClock, apiEndMs, () => api.close()).catch((error: unknown) =>
      log.warn('api: has not ended, and is left to itself', { error }),
    )
  await follower?.stop()
  await server.drain({ skipDelay })
  await room.close()
}

async function follow(server: LbServer, { config, registry }: Loaded, log: Log): Promise<StoreFollower> {
  try {
    const follower = await followStore({ server, config, registry, log })
    if (!server.served) log.warn('no config is served yet: it is taken from the store as soon as it is there')
    return follower
  } catch (error) {
    await server.close()
    throw error
  }
}

/** A reload of the file is one of the local half. */
class LocalHalf implements ReloadedServer {
  readonly follower: StoreFollower
  readonly #server: LbServer
  #registry: PluginRegistry

  constructor(server: LbServer, follower: StoreFollower, registry: PluginRegistry) {
    this.follower = follower
    this.#server = server
    this.#registry = registry
  }

  /** The plugins that a config is checked against. */
  get registry(): PluginRegistry {
    return this.#registry
  }

  async apply(config: Config, registry?: PluginRegistry): Promise<ApplyResult> {
    const result = await this.follower.apply(config, registry)
    if (registry && result.status !== 'refused') this.#registry = registry
    return result
  }

  configUnreadable(): void {
    this.#server.configUnreadable()
  }

  reopenLogs(): void {
    this.#server.reopenLogs()
  }

  runs(registry: PluginRegistry): boolean {
    return this.#server.runs(registry)
  }

  async close(): Promise<void> {
    await this.follower.stop()
    await this.#server.close()
  }
}

/** @throws MR_LISTEN; everything is closed then */
async function hostApi(
  half: LocalHalf,
  { log, version, api: when }: ServeOptions,
  { config }: Loaded,
): Promise<ApiServer | undefined> {
  const { api: configured, node } = config.bootstrap
  const wanted = configured ?? (when === 'usual' ? usualApi : undefined)
  if (!wanted) return undefined
  const { follower } = half
  const { startApi } = await import('../core/api/server.ts')
  try {
    return await startApi(follower.store, systemClock, log, {
      ...wanted,
      data: node.data,
      catalog: () => half.registry.catalog(),
      committed: (document, revision) => follower.announce(document, revision),
      version,
    })
  } catch (error) {
    // Nobody has asked for it: another process of this machine may have the port.
    if (!configured && error instanceof MillraceError && error.code === 'MR_LISTEN') {
      log.warn(`${error.message}; there is no API (say under \`api:\` where it is to be)`, {
        code: error.code,
      })
      return undefined
    }
    await half.close()
    throw error
  }
}

interface EndReason {
  readonly why: string
  readonly skipDelay: boolean
}
