/**
 * Plugins that a config means and that are not there: those that could not be loaded, and those whose file nobody has named. What
 * uses the first is no mistake of its own; what uses the second is told which file to name.
 */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { MillraceError } from '../host/errors.ts'
import type { PluginCatalog } from './catalog.ts'
import type { ConfigDocument } from './document.ts'
import type { Problem } from './problems.ts'
import type { PluginSource } from './snapshot.ts'

/** A plugin of the config that cannot be used. */
export interface PluginFailure {
  readonly source: PluginSource
  readonly error: MillraceError
}

export interface ListedPlugins {
  /** `plugins:` as it stands in the config. */
  readonly listed: unknown
  /** Its sound entries. */
  readonly sources: readonly PluginSource[]
  /** Those of them that could not be loaded. */
  readonly failures: readonly PluginFailure[]
  /** Folder of the config. */
  readonly directory: string
}

/** The catalog of what was loaded, which knows what is missing too. */
export function withMissing(catalog: PluginCatalog, plugins: ListedPlugins): PluginCatalog {
  const { sources, failures } = plugins
  const unsound = specifiers(plugins).filter((one) => !sources.some(({ specifier }) => specifier === one))
  const names = [
    ...failures.flatMap(({ source }) => [...words(source.specifier), ...namesIn(source)]),
    ...unsound.flatMap(words),
  ]
  return {
    ...catalog,
    missing: failures.length + unsound.length > 0 ? new Set(names) : undefined,
    unnamedFile: (name) => unnamedFile(name, plugins),
  }
}

/** What could not be loaded, at its place under `plugins:`. */
export function failedPlugins(document: ConfigDocument, plugins: ListedPlugins): Problem[] {
  const all = specifiers(plugins)
  return plugins.failures.flatMap(({ source, error }) => {
    const { code, message } = error
    const path = ['plugins', all.indexOf(source.specifier)]
    const found = document.locate({ code, message: document.redact(message), path })
    if (found === undefined) return []
    // Where the line of the plugin is shown, one of the config would only be in the way.
    return [message.includes('\n') ? { ...found, frame: '' } : found]
  })
}

/** By place; what is no string has none. */
function specifiers({ listed }: ListedPlugins): string[] {
  return Array.isArray(listed) ? listed.map((one) => (typeof one === 'string' ? one : '')) : []
}

/** Parts of a path or of a package's name, one of which is mostly the plugin's. */
function words(specifier: string): string[] {
  return specifier.split(/[/\\]/).map((part) => part.replace(/\.[cm]?[jt]s$/, '').replace(/^millrace-/, ''))
}

/** Whatever the text calls `name`; code that does not load can be read all the same. */
function namesIn({ kind, location }: PluginSource): string[] {
  if (kind !== 'path') return []
  try {
    const text = readFileSync(location, 'utf8')
    return [...text.matchAll(/\bname\s*:\s*(['"`])([a-z][a-z0-9-]*)\1/g)].map(([, , name]) => name)
  } catch {
    // It is told by itself that the file cannot be read.
    return []
  }
}

/** Where `plugin new` and most people put a plugin. */
function unnamedFile(name: string, { sources, directory }: ListedPlugins): string | undefined {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) return undefined
  const stems = ['./plugins/NAME', './NAME', './NAME/NAME', './plugins/NAME/NAME', './plugins/NAME/index']
  return stems
    .flatMap((stem) => ['.ts', '.mts', '.js', '.mjs'].map((ending) => stem.replaceAll('NAME', name) + ending))
    .find((file) => {
      const location = resolve(directory, file)
      return existsSync(location) && !sources.some((source) => source.location === location)
    })
}
