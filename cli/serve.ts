/** Runs an LB server from its config file until the process is told to end: what `lb` and `up` have in common. */
import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import type { ConfigSource, LoadedConfig } from '../core/config/load.ts'
import type { Log } from '../core/contracts/plugin.ts'
import { systemClock } from '../core/host/clock.ts'
import { CodeRoom } from '../core/threads/code-room.ts'
import { followStore, type StoreFollower } from '../core/threads/follow-store.ts'
import { type LbServer, startLbServer } from '../core/threads/lb-server.ts'
import { startReload } from '../core/threads/reload.ts'
import { type EndSignal, onEndSignals, onTerminalGone } from './end-signals.ts'
import { builtinsUrl, type Loaded, loadWithPlugins, tellWarnings } from './load.ts'
import type { Terminal } from './terminal.ts'

export interface ServeOptions {
  readonly source: ConfigSource & { readonly path: string }
  readonly env: Terminal['env']
  readonly terminal: Terminal
  readonly log: Log
  /** A person watches: Ctrl-C ends without the delay of the drain. */
  readonly interactive: boolean
  started(server: LbServer, loaded: Loaded): void
}

/** Where a person or a client finds a listener. */
export function listenerUrl(server: LbServer, config: LoadedConfig, name: string): string {
  const bound = server.listeners.find((listener) => listener.name === name)
  const configured = config.snapshot.listeners.find((listener) => listener.name === name)
  if (bound === undefined || configured === undefined) return ''
  if (configured.socketPath !== '') return `unix:${configured.socketPath}`
  const host = bound.address.includes(':') ? `[${bound.address}]` : bound.address
  return `${configured.tls ? 'https' : 'http'}://${host}:${bound.port}/`
}

const signalNumbers: Readonly<Record<EndSignal, number>> = { SIGINT: 2, SIGTERM: 15 }

/**
 * @returns the exit status: 0 after an orderly end, 128 + the signal's number after an immediate one
 * @throws ConfigError, MillraceError when it does not start
 */
export async function serve(options: ServeOptions): Promise<number> {
  const { terminal, interactive } = options
  const end = new AbortController()
  const doubled =
    terminal.env.MILLRACE_SIGNALS === 'doubled' || terminal.env.npm_lifecycle_event !== undefined
  return await new Promise((resolve, reject) => {
    onEndSignals(process, systemClock, doubled, {
      first: (signal) => end.abort({ why: signal, skipDelay: interactive && signal === 'SIGINT' }),
      second(signal) {
        options.log.warn(`${signal} again: ending at once`)
        resolve(128 + signalNumbers[signal])
      },
    })
    if (interactive) onTerminalGone(() => end.abort({ why: 'the terminal is gone', skipDelay: true }))
    run(options, end.signal).then(() => resolve(0), reject)
  })
}

/** Starts, serves until `end` fires, and drains. */
async function run(options: ServeOptions, end: AbortSignal): Promise<void> {
  const { source, env, terminal, log } = options
  const room = new CodeRoom()
  const load = (): Promise<Loaded> => loadWithPlugins(source, env, (plugin) => room.load(plugin))
  const loaded = await load()
  const { config, registry } = loaded
  tellWarnings(config, terminal)
  // Each core has its data thread: helpers of the collector would only take it from one. Measured with one core, a
  // collection of the young generation takes 0.2 ms alone and 0.5 to 1.8 ms with helpers. (bin.js has set it where it could.)
  setFlagsFromString('--no-parallel-scavenge')
  const server = await startLbServer({ config, registry, builtinsUrl, log })
  const follower = config.bootstrap.store ? await follow(server, loaded, log) : undefined
  const reload = startReload({ server: follower ? halfOf(server, follower) : server, config, load, log })
  options.started(server, loaded)
  if (!end.aborted) await once(end, 'abort')
  reload.stop()
  const { why, skipDelay } = end.reason as EndReason
  await follower?.stop()
  log.info(`${why}: draining; a second signal ends at once`)
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
function halfOf(server: LbServer, follower: StoreFollower): Parameters<typeof startReload>[0]['server'] {
  return {
    apply: (config, registry) => follower.apply(config, registry),
    configUnreadable: () => server.configUnreadable(),
    reopenLogs: () => server.reopenLogs(),
    runs: (registry) => server.runs(registry),
  }
}

interface EndReason {
  readonly why: string
  readonly skipDelay: boolean
}
