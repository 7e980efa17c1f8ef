/** A user's config made fit for the bench: its policies stay, its addresses become ours. */
import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parse, stringify } from 'yaml'
import { installResolver, resolveFrom } from '../../core/host/resolver.ts'
import type { ArmContext } from './arm.ts'

export interface ConfigAddresses extends Pick<ArmContext, 'backendHosts' | 'tls'> {
  readonly port: number
  readonly adminPort: number
  readonly backendPort: number
  /** Folder for the data of the node. */
  readonly data: string
}

type Part = Record<string, unknown>

/**
 * @param path of a YAML or JSON config; plugin files and packages in it are found from there
 * @throws when it is no mapping or has no services
 */
export function benchConfig(path: string, addresses: ConfigAddresses): string {
  const config: unknown = parse(readFileSync(path, 'utf8'))
  if (!isPart(config)) throw new Error(`${path}: a mapping expected`)
  if (!isPart(config.services)) throw new Error(`${path}: services expected, there is nothing to measure`)
  const backends = backendUrls(addresses)
  const services = Object.entries(config.services).map(([name, service]) => [
    name,
    { ...(isPart(service) ? service : {}), backends },
  ])
  return stringify({
    ...config,
    node: { ...(isPart(config.node) ? config.node : {}), id: 'bench', threads: 1, data: addresses.data },
    admin: { address: `127.0.0.1:${addresses.adminPort}` },
    drain: { delay: '0s', timeout: '5s' },
    listeners: { web: listenerOf(addresses) },
    plugins: pluginPaths(config.plugins, dirname(resolve(path))),
    services: Object.fromEntries(services),
  })
}

export function backendUrls({ backendHosts = ['127.0.0.1'], backendPort }: ConfigAddresses): string[] {
  return backendHosts.map((host) => `http://${host}:${backendPort}`)
}

export function listenerOf({ port, tls }: ConfigAddresses): Part {
  const address = `127.0.0.1:${port}`
  return tls ? { address, tls: { cert: tls.certFile, key: tls.keyFile } } : { address }
}

/** What is written goes into a folder of the bench, from where none of the user's plugins is found. */
function pluginPaths(plugins: unknown, directory: string): unknown[] {
  if (!Array.isArray(plugins)) return []
  const resolver = installResolver()
  try {
    return plugins.map((name: unknown) => (typeof name === 'string' ? pluginPath(name, directory) : name))
  } finally {
    resolver.uninstall()
  }
}

function pluginPath(name: string, directory: string): string {
  if (isAbsolute(name) || name.startsWith('file:')) return name
  if (name.startsWith('.')) return resolve(directory, name)
  try {
    return resolveFrom(name, pathToFileURL(directory).href)
  } catch {
    // That there is no such package is for the loader to say, in its own words.
    return name
  }
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
