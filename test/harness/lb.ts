/** Starts the real LB server, data threads and all, inside the test process, and stops it when the test ends. */
import { tmpdir } from 'node:os'
import { loadConfig, readPluginSources } from '#core/config/load'
import { installResolver, loadPlugins } from '#core/host/loader'
import type { ConfigInput } from '#core/config/define'
import type { Config } from '#core/config/snapshot'
import { type LbServer, startLbServer } from '#core/threads/lb-server'
import { builtins } from '#plugins/manifest'
import { release, type Scoped } from './cleanup.ts'
import type { RawBackend } from './raw-backend.ts'

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Record<string, unknown>
}

export interface Lb {
  readonly server: LbServer
  /** Port of the first listener. */
  readonly port: number
  /** `http://127.0.0.1:port` of the admin listener. */
  readonly admin: string
  readonly log: LogLine[]
  portOf(listener: string): number
  /** Applies another config; rejects where it is refused. */
  apply(config: ConfigInput | string): Promise<void>
  /** Text of an admin path. */
  get(path: string): Promise<string>
}

export interface LbOptions extends Scoped {
  /** What relative paths in the config start from. Default: the temporary directory. */
  readonly directory?: string
}

const manifestUrl = new URL('../../plugins/manifest.ts', import.meta.url)

export async function readConfig(config: ConfigInput | string, directory = tmpdir()): Promise<Config> {
  const text = typeof config === 'string' ? config : JSON.stringify(config)
  const source = { text, name: 'test.yaml', directory }
  installResolver()
  const plugins = await loadPlugins(await readPluginSources(source, { env: {} }), builtins)
  return loadConfig(source, { env: {}, plugins: plugins.catalog() })
}

/** Starts an LB server with one data thread, unless the config says otherwise. */
export async function startLb(config: ConfigInput | string, options: LbOptions = {}): Promise<Lb> {
  const log: LogLine[] = []
  const line =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) =>
      void log.push({ level, message, fields })
  const server = await startLbServer({
    config: await readConfig(config, options.directory),
    builtinsUrl: manifestUrl,
    log: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
  })
  release(options, () => server.close())
  const portOf = (name: string): number => {
    const listener = server.listeners.find((one) => one.name === name)
    if (listener === undefined) throw new Error(`No listener ${name}`)
    return listener.port
  }
  const admin = `http://127.0.0.1:${server.admin?.port}`
  return {
    server,
    log,
    admin,
    portOf,
    port: server.listeners[0].port,
    async apply(next) {
      await server.apply(await readConfig(next, options.directory))
    },
    async get(path) {
      return (await fetch(admin + path)).text()
    },
  }
}

export interface SimpleSettings {
  /** Settings of the one service. */
  readonly service?: Record<string, unknown>
  /** Settings of the one listener. */
  readonly listener?: Record<string, unknown>
  readonly [key: string]: unknown
}

/** A breaker that never opens: tests that make backends fail on purpose must not trip it. */
export const neverOpens = { use: 'error-rate', minRequests: 1_000_000 }

/** One listener `web`, one service `app` over the backends, everything else at its default. */
export function simpleConfig(
  backends: readonly (RawBackend | { url: string } | string)[],
  settings: SimpleSettings = {},
): ConfigInput {
  const { service, listener, ...rest } = settings
  const urls = backends.map((backend) => (typeof backend === 'string' ? backend : { ...backend, url: backend.url }))
  return {
    node: { threads: 1 },
    admin: { address: '127.0.0.1:0' },
    drain: { delay: '0s', timeout: '2s' },
    listeners: { web: { address: '127.0.0.1:0', ...listener } },
    routes: [{ service: 'app' }],
    services: {
      app: { backends: urls.map((one) => (typeof one === 'string' ? one : one.url)), breaker: neverOpens, ...service },
    },
    ...rest,
  } as ConfigInput
}
