/** From a file to a validated, normalised config, or to every problem in it. */
import { availableParallelism } from 'node:os'
import type { MillraceError } from '../host/errors.ts'
import type { PluginCatalog } from './catalog.ts'
import { checkApi } from './check-api.ts'
import { checkStore } from './check-store.ts'
import { asMap, runChecks } from './checks.ts'
import type { ConfigDocument } from './document.ts'
import type { Environment } from './expand.ts'
import { reportIssues } from './issues.ts'
import { failedPlugins, type PluginFailure, withMissing } from './missing-plugins.ts'
import { fleetKeysOf, normaliseBootstrap, normaliseSnapshot } from './normalise.ts'
import { checkPems } from './pem-checks.ts'
import { PemFiles } from './pem-files.ts'
import { checkPluginSources } from './plugin-sources.ts'
import { ConfigError, type Problem, parsePath } from './problems.ts'
import { fileSchema } from './schema.ts'
import type { Config, PluginSource } from './snapshot.ts'
import { type ConfigSource, type LoadedSource, readSource } from './source.ts'

export type { ConfigSource } from './source.ts'

export interface LoadDeps {
  readonly env: Environment
  /** Loaded plugins; without them names and options of plugins are not checked. */
  readonly plugins?: PluginCatalog
  /** Plugins of this config that are not in `plugins`, for they could not be loaded: problems beside all others. */
  readonly failures?: readonly PluginFailure[]
  /** Data threads when the config does not say; one per core when absent. */
  readonly threads?: number
}

export interface LoadedConfig extends Config {
  /** Absolute paths of every file to watch: the config, the PEM files and those of tokens. */
  readonly files: readonly string[]
  /** What works, but is probably not meant. */
  readonly warnings: readonly Problem[]
  /** Puts the references back for values from the environment, for texts that a person will read. */
  redact(text: string): string
  /** A problem that came out later, at its place in the file: the error's `path`. */
  problem(error: MillraceError): Problem
}

/**
 * Reads, checks and normalises a config. `snapshot.revision` is 0: whoever applies it counts.
 * @throws ConfigError with every problem that was found, in file order
 */
export async function loadConfig(source: ConfigSource, deps: LoadDeps): Promise<LoadedConfig> {
  const loaded = await readSource(source, deps.env)
  return await checkConfig(loaded, deps)
}

/**
 * Reads only `plugins:`, which must be loaded before the rest can be checked against them.
 * @throws ConfigError when the file cannot be read or `plugins` is wrong; it then holds all other problems too
 */
export async function readPluginSources(source: ConfigSource, deps: LoadDeps): Promise<PluginSource[]> {
  const { document, directory, file } = await readSource(source, deps.env)
  const before = document.problems.length
  const value = asMap(document.value).plugins ?? []
  const parsed = fileSchema.shape.plugins.safeParse(value)
  const sources = checkPluginSources(document, value, directory)
  if (parsed.success && document.problems.length === before) return sources
  document.problems.length = before
  await checkConfig({ document, directory, file }, { ...deps, plugins: undefined })
  throw new ConfigError(document.problems)
}

/**
 * The well-formed entries of `plugins:`. What is wrong with the others, {@link loadConfig} tells.
 * @throws ConfigError when the file cannot be read, or makes no sense at all
 */
export async function soundPluginSources(source: ConfigSource, deps: LoadDeps): Promise<PluginSource[]> {
  const { document, directory } = await readSource(source, deps.env)
  return checkPluginSources(document, asMap(document.value).plugins, directory)
}

/**
 * Reads only `fleetKey:`. None where there is none, or one that is wrong: {@link loadConfig} tells of that.
 * @throws ConfigError when the file cannot be read, or makes no sense at all
 */
export async function readFleetKeys(
  source: ConfigSource,
  { env }: Pick<LoadDeps, 'env'>,
): Promise<readonly string[]> {
  const { document } = await readSource(source, env)
  const { data } = fileSchema.shape.fleetKey.safeParse(asMap(document.value).fleetKey)
  return fleetKeysOf(data)
}

async function checkConfig(loaded: LoadedSource, deps: LoadDeps): Promise<LoadedConfig> {
  const { document, directory, file } = loaded
  document.value = withoutExtensions(document.value)
  const parsed = fileSchema.safeParse(document.value)
  if (!parsed.success) reportIssues(document, fileSchema, parsed.error.issues)
  const plugins = checkPlugins(document, directory, deps)
  const pems = new PemFiles(directory)
  await checkPems(document, pems)
  const { tokens, files: tokenFiles } = await checkApi(document, directory)
  if (document.problems.length > 0 || !parsed.success)
    throw new ConfigError(inFileOrder(document.problems), [...pems.files, ...tokenFiles])
  const around = { directory, pems, plugins, tokens, threads: deps.threads ?? availableParallelism() }
  return {
    bootstrap: normaliseBootstrap(parsed.data, around),
    snapshot: normaliseSnapshot(parsed.data, around),
    files: [...new Set([...(file === undefined ? [] : [file]), ...pems.files, ...tokenFiles])],
    warnings: inFileOrder(document.warnings),
    redact: (text) => document.redact(text),
    problem: (error) => problemOf(document, error),
  }
}

/** `plugins:` itself, and every use of a plugin. */
function checkPlugins(document: ConfigDocument, directory: string, deps: LoadDeps): PluginSource[] {
  const listed = asMap(document.value).plugins
  const sources = checkPluginSources(document, listed, directory)
  const around = { listed, sources, failures: deps.failures ?? [], directory }
  document.problems.push(...failedPlugins(document, around))
  const catalog = deps.plugins && withMissing(deps.plugins, around)
  runChecks(document, catalog)
  checkStore(document, catalog)
  return sources
}

function problemOf(document: ConfigDocument, { code, message, path: at = '' }: MillraceError): Problem {
  const told = document.redact(message)
  const found = document.locate({ code, message: told, path: parsePath(at) })
  return found ?? { code, message: told, file: document.file, line: 0, column: 0, path: at, frame: '' }
}

/** Top-level keys that start with `x-` are the user's own: a place for YAML anchors. */
function withoutExtensions(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith('x-')))
}

function inFileOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column)
}
