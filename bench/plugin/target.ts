/** Which plugin is measured, and with what options. */
import { resolve } from 'node:path'
import { loadConfig, readPluginSources } from '../../core/config/load.ts'
import type { PluginSource, PluginUse, Snapshot } from '../../core/config/snapshot.ts'
import { optionsOf } from '../../core/config/uses.ts'
import type { PluginKind } from '../../core/contracts/plugin.ts'
import { MillraceError } from '../../core/host/errors.ts'
import { installResolver, loadPlugin, loadPlugins } from '../../core/host/loader.ts'
import { parseOptions } from '../../core/host/options.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import { builtins } from '../../plugins/manifest.ts'
import { findPlugin } from '../arms/core.ts'
import { asSpecifier } from './plugin-file.ts'
import {
  type BenchSettings,
  chooseRequests,
  type PluginRequests,
  readSettings,
  type WrittenRequests,
} from './requests.ts'

/** Plain data: it goes to the threads that measure. */
export interface PluginTarget {
  /** What `pluginArm` takes. */
  readonly specifier: string
  readonly source: PluginSource | 'built-in'
  readonly kind: PluginKind
  readonly name: string
  /** Raw, as in a config, slot keys taken out. */
  readonly options: Readonly<Record<string, unknown>>
  /** With slot keys. */
  readonly written: Readonly<Record<string, unknown>>
  readonly requests: PluginRequests
}

export interface TargetRequest extends WrittenRequests {
  /** Path of a file or of its folder, name of a built-in, or package; relative to `directory`. */
  readonly plugin: string
  readonly directory: string
  /** JSON text. */
  readonly options: string | undefined
  /** A config that uses the plugin: its options there. */
  readonly config: string | undefined
}

/** @throws MillraceError that names the path, what is wrong with the plugin, or the option */
export async function findTarget(request: TargetRequest): Promise<PluginTarget> {
  const { directory, config } = request
  installResolver()
  if (request.options !== undefined && config !== undefined)
    throw new MillraceError('MR_USAGE', '--options and --config both name options: give one of them')
  const specifier = asSpecifier(request.plugin, directory)
  const { loaded } = await findPlugin(specifier, directory)
  const { definition, source } = loaded
  const { kind, name } = definition
  const settings = readSettings(source !== 'built-in' && source.kind === 'path' ? source.location : undefined)
  const { written, place } = await writtenOptions(request, settings, loaded)
  const options = optionsOf(kind, { use: name, ...written })
  parseOptions(definition, options, place)
  return { specifier, source, kind, name, options, written, requests: chooseRequests(request, settings) }
}

/** Of the command line, else of the file beside the plugin. `place`: for messages. */
async function writtenOptions(
  { options, config, directory }: TargetRequest,
  settings: BenchSettings,
  loaded: LoadedPlugin,
): Promise<{ readonly written: Readonly<Record<string, unknown>>; readonly place: string | undefined }> {
  if (config !== undefined)
    return { written: await optionsIn(resolve(directory, config), loaded), place: config }
  if (options !== undefined) return { written: parseJson(options), place: '--options' }
  if (settings.options !== undefined) return { written: settings.options, place: settings.file }
  return { written: {}, place: undefined }
}

/** Loads it again, in another thread. `installResolver` must have run there. */
export function loadTarget({ source, name, kind }: PluginTarget): Promise<LoadedPlugin> {
  if (source !== 'built-in') return loadPlugin(source)
  const definition = builtins.find((one) => one.name === name && one.kind === kind)
  if (definition === undefined) throw new MillraceError('MR_PLUGIN_UNKNOWN', `no built-in ${kind} "${name}"`)
  return Promise.resolve(builtIn(definition))
}

function parseJson(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined) return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new MillraceError('MR_USAGE', `--options is not JSON: ${(error as Error).message}`, {
      cause: error,
    })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new MillraceError('MR_USAGE', `--options: an object expected, such as '{"rate": 5}', not ${text}`)
}

/** Of the first place where the config uses the plugin. @throws ConfigError with every problem of the config */
async function optionsIn(path: string, target: LoadedPlugin): Promise<Readonly<Record<string, unknown>>> {
  const { kind, name } = target.definition
  const { env } = process
  const registry = await loadPlugins(await readPluginSources({ path }, { env }), builtins)
  if (!registry.has(kind, name)) registry.add(target)
  const { snapshot } = await loadConfig({ path }, { env, plugins: registry.catalog() })
  const use = usesIn(snapshot, kind).find((one) => one.use === name)
  if (use !== undefined) return use.options
  throw new MillraceError('MR_USAGE', `--config ${path} uses no ${kind} named "${name}"`, { path })
}

function usesIn({ filters, routes, services }: Snapshot, kind: PluginKind): readonly PluginUse[] {
  const all = Object.values(services)
  const present = (uses: readonly (PluginUse | undefined)[]): PluginUse[] => uses.filter((use) => !!use)
  const byKind: Readonly<Partial<Record<PluginKind, readonly PluginUse[]>>> = {
    algorithm: all.map(({ algorithm }) => algorithm),
    'circuit-breaker': present(all.map(({ breaker }) => breaker)),
    'health-source': present(all.map(({ health }) => health)),
    filter: [...filters, ...[...routes, ...all].flatMap((part) => part.filters)],
  }
  return byKind[kind] ?? []
}
