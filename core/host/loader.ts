/** Brings plugin code into a thread: from a file named by its path, or from an npm package beside the config file. */
import { realpath } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import type { PluginSource } from '../config/snapshot.ts'
import type { AnyPlugin } from '../contracts/plugin.ts'
import { codeHash } from './code-hash.ts'
import { MillraceError } from './errors.ts'
import { explainLoadError } from './load-errors.ts'
import { checkPlugin, pluginOfModule } from './plugin-shape.ts'
import { builtIn, type LoadedPlugin, PluginRegistry } from './registry.ts'
import { installResolver, resolveFrom, versioned } from './resolver.ts'

export { installResolver } from './resolver.ts'

/**
 * Loads all plugins of a config. `installResolver` must have run in this thread.
 *
 * @param builtins the manifest's plugins; the core does not know them
 * @throws MR_PLUGIN_LOAD, MR_PLUGIN_SHAPE, MR_PLUGIN_DUPLICATE. When several are wrong: the first one's code, a message that
 *   names all, and an AggregateError of all as the cause
 */
export async function loadPlugins(
  sources: readonly PluginSource[],
  builtins: readonly AnyPlugin[],
): Promise<PluginRegistry> {
  const registry = new PluginRegistry()
  for (const definition of builtins) registry.add(builtIn(checkPlugin(definition, 'built-in plugin')))
  const errors: MillraceError[] = []
  for (const source of sources) {
    try {
      registry.add(await loadPlugin(source))
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      errors.push(error)
    }
  }
  if (errors.length > 0) throw together(errors)
  return registry
}

/**
 * Loads one plugin. The same code is the same module instance; changed code of a file is a new one.
 *
 * @throws MR_PLUGIN_LOAD, MR_PLUGIN_SHAPE
 */
export async function loadPlugin(source: PluginSource): Promise<LoadedPlugin> {
  let hash: string
  let module: unknown
  try {
    const entry = await entryOf(source)
    hash = await codeHash(entry)
    // A package keeps its plain URL, which it shares with whoever else imports it; new code of it needs a restart.
    module = await import(source.kind === 'path' ? versioned(entry, hash) : entry)
  } catch (error) {
    throw await explainLoadError(error, source)
  }
  return { definition: pluginOfModule(module, source), source, hash }
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
