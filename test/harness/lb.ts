/** Starts the real LB server, data threads and all, inside the test process, and stops it when the test ends. */
import { tmpdir } from 'node:os'
import { afterAll } from 'vitest'
import type { ConfigInput } from '#core/config/define'
import { type LoadedConfig, loadConfig, readPluginSources } from '#core/config/load'
import { installResolver, loadPlugins } from '#core/host/loader'
import type { PluginRegistry } from '#core/host/registry'
import { type LbServer, startLbServer } from '#core/threads/lb-server'
import { builtins } from '#plugins/manifest'
import { release, type Scoped } from './cleanup.ts'

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Record<string, unknown>
}

export interface Lb {
  readonly server: LbServer
  /** Port of the first listener, now. */
  readonly port: number
  readonly log: LogLine[]
  portOf(listener: string): number
  /** Applies another config; rejects where it is refused. */
  apply(config: ConfigInput | string): Promise<void>
  /** Sum of a metric's samples whose labels contain `labels`; needs `admin` in the config. */
  metric(name: string, labels?: string): Promise<number>
}

export interface LbOptions extends Scoped {
  /** What relative paths in the config start from. Default: the temporary directory. */
  readonly directory?: string
}

const builtinsUrl = new URL('../../plugins/manifest.ts', import.meta.url)

interface Read {
  readonly config: LoadedConfig
  readonly registry: PluginRegistry
}

async function readConfig(config: ConfigInput | string, directory = tmpdir()): Promise<Read> {
  const text = typeof config === 'string' ? config : JSON.stringify(config)
  const source = { text, name: 'test.yaml', directory }
  const { uninstall } = installResolver()
  try {
    const registry = await loadPlugins(await readPluginSources(source, { env: {} }), builtins)
    return { config: await loadConfig(source, { env: {}, plugins: registry.catalog() }), registry }
  } finally {
    uninstall()
  }
}

/** Starts an LB server with one data thread, unless the config says otherwise. */
export async function startLb(config: ConfigInput | string, options: LbOptions = {}): Promise<Lb> {
  const log: LogLine[] = []
  const at =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}): void =>
      void log.push({ level, message, fields })
  const server = await startLbServer({
    ...(await readConfig(config, options.directory)),
    builtinsUrl,
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
  })
  release(options, () => server.close())
  const portOf = (name: string): number => {
    const listener = server.listeners.find((one) => one.name === name)
    if (listener === undefined) throw new Error(`No listener ${name}`)
    return listener.port
  }
  return {
    server,
    log,
    portOf,
    get port() {
      return server.listeners[0].port
    },
    async apply(next) {
      const result = await server.apply((await readConfig(next, options.directory)).config)
      const served = result.status === 'applied' || result.status === 'unchanged'
      if (!served) throw new Error(`Not applied: ${JSON.stringify(result)}`)
    },
    async metric(name, labels = '') {
      const text = await (await fetch(`http://127.0.0.1:${server.admin?.port}/metrics`)).text()
      const lines = text
        .split('\n')
        .filter((line) => /^\w+/.exec(line)?.[0] === name && line.includes(labels))
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
    },
  }
}

/**
 * One LB server for all tests of a file, each of which gives it a config of its own: a reload takes milliseconds where a
 * start takes a second. Call it at the top of the file. `plugins`, `node` and `admin` must stay the same.
 */
export function reusedLb(
  options: { readonly directory?: string } = {},
): (config: ConfigInput) => Promise<Lb> {
  let lb: Lb | undefined
  afterAll(() => lb?.server.close())
  return async (config) => {
    if (lb === undefined) lb = await startLb(config, { ...options, cleanup: () => {} })
    else await lb.apply(config)
    lb.log.length = 0
    return lb
  }
}

export interface SimpleSettings {
  /** Settings of the one service. */
  readonly service?: Record<string, unknown>
  /** Settings of the one listener. */
  readonly listener?: Record<string, unknown>
  /** Any other part of the config. */
  readonly [key: string]: unknown
}

/** A breaker that never opens: tests that make backends fail on purpose must not trip it. */
export const neverOpens = { use: 'error-rate', minRequests: 1_000_000 }

/** One listener `web`, one service `app` over the backends, everything else at its default. */
export function simpleConfig(
  backends: readonly ({ readonly url: string } | string)[],
  settings: SimpleSettings = {},
): ConfigInput {
  const { service, listener, ...rest } = settings
  const urls = backends.map((backend) => (typeof backend === 'string' ? backend : backend.url))
  return {
    node: { threads: 1 },
    drain: { delay: '0s', timeout: '2s' },
    listeners: { web: { address: '127.0.0.1:0', ...listener } },
    routes: [{ service: 'app' }],
    services: { app: { backends: urls, breaker: neverOpens, ...service } },
    ...rest,
  }
}
