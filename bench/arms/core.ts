/** Millrace without whatever a user can leave out, and the same with one plugin: the difference is what the plugin costs. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { stringify } from 'yaml'
import { pluginSource } from '../../core/config/plugin-sources.ts'
import { optionsOf } from '../../core/config/uses.ts'
import type { PluginKind } from '../../core/contracts/plugin.ts'
import { closest } from '../../core/host/did-you-mean.ts'
import { MillraceError } from '../../core/host/errors.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import type { LoadedPlugin, PluginRegistry } from '../../core/host/registry.ts'
import { installResolver, resolveFrom } from '../../core/host/resolver.ts'
import { builtins } from '../../plugins/manifest.ts'
import type { Arm } from './arm.ts'
import { repository } from './millrace.ts'
import { backendUrls, type ConfigAddresses, listenerOf } from './millrace-config.ts'
import { startMillrace } from './start-millrace.ts'

/** A plugin at its place in the config. */
export interface PluginUse {
  readonly kind: PluginKind
  readonly name: string
  /** Path or file URL of its module; undefined for a built-in. */
  readonly module: string | undefined
  readonly options: Readonly<Record<string, unknown>>
}

export const coreArm: Arm = armOf('core', 'Millrace, no plugins', undefined)

/**
 * `core` with one plugin, in the slot of its kind.
 *
 * @param specifier name of a built-in, path (`./my-filter.ts`) or package
 * @param options the plugin's own, and those of its slot (`failOpen`, `interval`)
 * @param directory where paths and packages are looked for
 * @param expect status that the plugin answers with
 * @throws MR_USAGE, MR_PLUGIN_LOAD, MR_PLUGIN_SHAPE, MR_PLUGIN_DUPLICATE, MR_PLUGIN_OPTIONS
 */
export async function pluginArm(
  specifier: string,
  options: Readonly<Record<string, unknown>> = {},
  {
    directory = process.cwd(),
    name = `core+${specifier}`,
    expect,
  }: { readonly directory?: string; readonly name?: string; readonly expect?: number } = {},
): Promise<Arm> {
  const use = await pluginUse(specifier, options, directory)
  const given = Object.keys(options).length > 0 ? ` ${JSON.stringify(options)}` : ''
  return armOf(name, `Millrace core + ${use.name}${given}`, use, expect)
}

function armOf(name: string, title: string, use: PluginUse | undefined, expect?: number): Arm {
  return {
    name,
    title,
    abilities: ['tls', 'backends'],
    start: (context) =>
      startMillrace(context, {
        ...{ name, command: context.millraceCommand, cwd: repository, expect },
        config: (addresses) => coreConfig(addresses, context.threads, use),
      }),
  }
}

/** Round-robin is what the config puts where no algorithm is named: there is always one. */
export function coreConfig(addresses: ConfigAddresses, threads: number, use: PluginUse | undefined): string {
  const written = use && { use: use.name, ...use.options }
  const slot = (kind: PluginKind, empty: unknown): unknown => (use?.kind === kind ? written : empty)
  return stringify({
    node: { id: 'bench', threads, data: addresses.data },
    admin: { address: `127.0.0.1:${addresses.adminPort}` },
    drain: { delay: '0s', timeout: '5s' },
    plugins: use?.module === undefined ? [] : [use.module],
    listeners: { web: listenerOf(addresses) },
    filters: use?.kind === 'filter' ? [written] : [],
    routes: [{ service: 'backend' }],
    services: {
      backend: {
        algorithm: slot('algorithm', 'round-robin'),
        breaker: slot('circuit-breaker', false),
        health: slot('health-source', false),
        connections: { max: 256 },
        backends: backendUrls(addresses),
      },
    },
  })
}

/** Loads the plugin to learn its kind and to check its options before anything is measured. */
async function pluginUse(
  specifier: string,
  options: Readonly<Record<string, unknown>>,
  directory: string,
): Promise<PluginUse> {
  const resolver = installResolver()
  try {
    const { registry, loaded, module } = await findPlugin(specifier, directory)
    const { kind, name } = loaded.definition
    const problems = registry
      .catalog()
      .validateOptions(kind, name, optionsOf(kind, { use: name, ...options }))
    if (problems.length > 0) {
      const lines = problems.map(({ path, message }) => [...path, message].join(': '))
      throw new MillraceError('MR_PLUGIN_OPTIONS', `${specifier}: ${lines.join('; ')}`, { plugin: name })
    }
    return { kind, name, module, options }
  } finally {
    resolver.uninstall()
  }
}

export interface FoundPlugin {
  readonly registry: PluginRegistry
  readonly loaded: LoadedPlugin
  readonly module: string | undefined
}

/** The plugin with the built-ins around it. `installResolver` must have run. @throws MR_USAGE, MR_PLUGIN_* */
export async function findPlugin(specifier: string, directory: string): Promise<FoundPlugin> {
  const known = builtins.filter(({ name }) => name === specifier)
  if (known.length > 0) {
    const registry = await loadPlugins([], builtins)
    if (known.length > 1) {
      const kinds = known.map(({ kind }) => kind).join(', ')
      throw new MillraceError('MR_USAGE', `"${specifier}" is the name of several plugins: ${kinds}`)
    }
    return { registry, loaded: registry.find(known[0].kind, specifier), module: undefined }
  }
  const source = pluginSource(specifier, directory)
  if (source === undefined || isSlip(specifier, directory)) throw unknown(specifier, directory)
  const registry = await loadPlugins([source], builtins)
  const loaded = registry.list().find((one) => one.source !== 'built-in')!
  // The config lies in a folder of the bench, from where no package of the user's is found: so its file is named.
  const module = source.kind === 'path' ? source.location : resolveFrom(specifier, source.location)
  return { registry, loaded, module }
}

/** A file without its ./, or nearly the name of a built-in: neither is a package. */
function isSlip(specifier: string, directory: string): boolean {
  if (/^(\.{0,2}\/|file:)/.test(specifier)) return false
  return existsSync(resolve(directory, specifier)) || closest(specifier, builtinNames()) !== undefined
}

function unknown(specifier: string, directory: string): MillraceError {
  const near = existsSync(resolve(directory, specifier))
    ? `./${specifier}`
    : closest(specifier, builtinNames())
  const hint = near === undefined ? '' : ` — did you mean "${near}"?`
  return new MillraceError(
    'MR_USAGE',
    `unknown plugin "${specifier}"${hint} A path starts with ./; built in are ${builtinNames().join(', ')}`,
  )
}

const builtinNames = (): string[] => builtins.map(({ name }) => name)
