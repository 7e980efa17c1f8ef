/** Reads a config file with its plugins loaded, so that their names and options are checked with it. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { type ConfigSource, type LoadedConfig, loadConfig, soundPluginSources } from '../core/config/load.ts'
import { formatProblems } from '../core/config/problems.ts'
import { loadEach } from '../core/host/loader.ts'
import type { PluginRegistry } from '../core/host/registry.ts'
import { builtins } from '../plugins/manifest.ts'
import { UsageError } from './failure.ts'
import type { Terminal } from './terminal.ts'

export interface Loaded {
  readonly config: LoadedConfig
  readonly registry: PluginRegistry
}

/** Built-ins by the URL of their module: threads import them themselves. The extension is this file's own. */
const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
export const builtinsUrl = new URL(`../plugins/manifest${extension}`, import.meta.url)

/**
 * @param load where the code of plugins is to run; default: on this thread
 * @throws ConfigError with every problem, those of plugins that cannot be loaded among them
 */
export async function loadWithPlugins(
  source: ConfigSource,
  env: Terminal['env'],
  load?: Parameters<typeof loadEach>[2],
): Promise<Loaded> {
  const sources = await soundPluginSources(source, { env })
  const { registry, failures } = await loadEach(sources, builtins, load)
  const config = await loadConfig(source, { env, plugins: registry.catalog(), failures })
  return { config, registry }
}

/** Where a config is looked for when none is named. */
const usualNames = ['millrace.yaml', 'millrace.yml', 'millrace.json', 'millrace.ts']

const usualConfig = (terminal: Terminal): string | undefined =>
  usualNames.find((usual) => existsSync(path.resolve(terminal.directory, usual)))

/** Whether a config lies in the working directory. */
export const hasUsualConfig = (terminal: Terminal): boolean => usualConfig(terminal) !== undefined

/** The named config file, or the one that lies in the working directory. */
export function findConfig(terminal: Terminal, ...named: (string | undefined)[]): { path: string } {
  const given = named.filter((name) => name !== undefined)
  if (given.length > 1) throw new UsageError('the config file is named twice')
  const name = given[0] ?? usualConfig(terminal)
  if (name === undefined)
    throw new UsageError(`no config file: name one with -c, or call it ${usualNames[0]}`)
  return { path: path.resolve(terminal.directory, name) }
}

export function tellWarnings(config: LoadedConfig, terminal: Terminal): void {
  if (config.warnings.length === 0) return
  terminal.err(`${terminal.style('yellow', 'warning:')} ${formatProblems(config.warnings)}`)
}
