/** Brings plugin code into a thread: from a file named by its path, or from an npm package beside the config file. */
import { realpath } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import type { PluginFailure } from '../config/missing-plugins.ts'
import type { PluginSource } from '../config/snapshot.ts'
import { type AnyPlugin, type ThreadKind, threadKinds } from '../contracts/plugin.ts'
import { type CodeFiles, codeHash, readCode } from './code-hash.ts'
import { MillraceError } from './errors.ts'
import type { HeldCode } from './held-code.ts'
import { explainLoadError } from './load-errors.ts'
import { checkPeerVersion } from './peer-version.ts'
import { checkPlugin, pluginOfModule } from './plugin-shape.ts'
import { builtIn, type LoadedPlugin, PluginRegistry } from './registry.ts'
import { installResolver, resolveFrom, versioned } from './resolver.ts'
import { standIn } from './stand-in.ts'

export { installResolver } from './resolver.ts'

/**
 * Loads all plugins of a config. `installResolver` must have run in this thread.
 *
 * @param builtins the manifest's plugins; the core does not know them
 * @param load where their code is to run; default: here
 * @throws MR_PLUGIN_VERSION, MR_PLUGIN_LOAD, MR_PLUGIN_SHAPE, MR_PLUGIN_DUPLICATE. When several are wrong: the first one's code, a message that
 *   names all, and an AggregateError of all as the cause
 */
export async function loadPlugins(
  sources: readonly PluginSource[],
  builtins: readonly AnyPlugin[],
  load: (source: PluginSource) => Promise<LoadedPlugin> = loadPlugin,
): Promise<PluginRegistry> {
  const { registry, failures } = await loadEach(sources, builtins, load)
  if (failures.length > 0) throw together(failures.map(({ error }) => error))
  return registry
}

/** As {@link loadPlugins}, of those that can be used; with what is wrong with each of the others. */
export async function loadEach(
  sources: readonly PluginSource[],
  builtins: readonly AnyPlugin[],
  load: (source: PluginSource) => Promise<LoadedPlugin> = loadPlugin,
): Promise<{ readonly registry: PluginRegistry; readonly failures: readonly PluginFailure[] }> {
  const registry = new PluginRegistry()
  for (const definition of builtins) registry.add(builtIn(checkPlugin(definition, 'built-in plugin')))
  const failures: PluginFailure[] = []
  for (const source of sources) {
    try {
      registry.add(await load(source))
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      failures.push({ source, error })
    }
  }
  return { registry, failures }
}

/**
 * Loads one plugin. The same code is the same module instance; changed code of a file is a new one.
 *
 * @throws MR_PLUGIN_VERSION before a package's code has run, MR_PLUGIN_LOAD, MR_PLUGIN_SHAPE
 */
export async function loadPlugin(source: PluginSource): Promise<LoadedPlugin> {
  try {
    const entry = await entryOf(source)
    if (source.kind === 'path') return await loadCode(source, await readCode(entry))
    await checkPeerVersion(source, entry)
    const hash = await codeHash(entry)
    // A package keeps its plain URL, which it shares with whoever else imports it; new code of it needs a restart.
    return { definition: pluginOfModule(await import(entry), source), source, hash, entry }
  } catch (error) {
    throw error instanceof MillraceError ? error : await explainLoadError(error, source)
  }
}

async function loadCode(source: PluginSource, code: CodeFiles): Promise<LoadedPlugin> {
  const module: unknown = await import(versioned(code.entry, code.hash))
  return { definition: pluginOfModule(module, source), source, hash: code.hash, entry: code.entry, code }
}

/** A plugin as one thread hands it to another. Cloneable. */
export interface ShippedPlugin {
  readonly source: PluginSource
  /** The text to load; absent: what lies on the disk. */
  readonly code?: CodeFiles
  /** Nothing is loaded: a stand-in takes the place of this plugin. */
  readonly standIn?: { readonly kind: ThreadKind; readonly name: string }
}

/** What other threads need to load the same code. */
export function shipPlugins(registry: PluginRegistry): ShippedPlugin[] {
  return registry.list().flatMap(({ source, code, hash, definition }): ShippedPlugin[] => {
    if (source === 'built-in') return []
    const { kind, name } = definition
    if (hash === standInHash) return [{ source, standIn: { kind: kind as ThreadKind, name } }]
    return [{ source, code }]
  })
}

const standInHash = 'stand-in'

/** In place of a plugin that must not run; undefined where there is none for its kind. */
export function withStandIn(loaded: LoadedPlugin): LoadedPlugin | undefined {
  const { kind, name } = loaded.definition
  if (!threadKinds.includes(kind)) return undefined
  return { definition: standIn(kind as ThreadKind, name), source: loaded.source, hash: standInHash }
}

/**
 * Loads what another thread has loaded and checked before.
 * @param held where the hooks of this thread look for text
 * @throws as {@link loadPlugins}
 */
export async function loadShipped(
  plugins: readonly ShippedPlugin[],
  builtins: readonly AnyPlugin[],
  held: HeldCode,
): Promise<PluginRegistry> {
  held.hold(plugins.flatMap(({ code }) => code ?? []))
  const registry = new PluginRegistry()
  for (const definition of builtins) registry.add(builtIn(definition))
  for (const { source, code, standIn: missing } of plugins) {
    if (missing) {
      registry.add({ definition: standIn(missing.kind, missing.name), source, hash: standInHash })
    } else registry.add(await (code ? loadText(source, code) : loadPlugin(source)))
  }
  return registry
}

/** Loads a version from the text that the hooks of this thread hold. @throws MR_PLUGIN_LOAD, MR_PLUGIN_SHAPE */
export async function loadText(source: PluginSource, code: CodeFiles): Promise<LoadedPlugin> {
  try {
    return await loadCode(source, code)
  } catch (error) {
    throw error instanceof MillraceError ? error : await explainLoadError(error, source)
  }
}

async function entryOf(source: PluginSource): Promise<string> {
  if (source.kind === 'package') return resolveFrom(source.specifier, source.location)
  return pathToFileURL(await realpath(source.location)).href
}

function together(errors: readonly MillraceError[]): MillraceError {
  if (errors.length === 1) return errors[0]
  const lines = errors.map((error) => `- ${error.message.replaceAll('\n', '\n  ')}`)
  const message = `${errors.length} plugins cannot be used:\n${lines.join('\n')}`
  return new MillraceError(errors[0].code, message, { cause: new AggregateError(errors) })
}

/** The built-ins of that module and the plugins of the config, with `millrace` resolved to this core. */
export async function loadRegistry(
  sources: readonly PluginSource[],
  builtinsUrl: URL,
): Promise<PluginRegistry> {
  installResolver()
  const { builtins } = (await import(builtinsUrl.href)) as { builtins: readonly AnyPlugin[] }
  return loadPlugins(sources, builtins)
}
