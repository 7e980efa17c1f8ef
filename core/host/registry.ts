/** The plugins of one thread, by kind and name. Built once from the built-ins and `plugins:`; a config can only name what is in it. */
import type { PluginCatalog } from '../config/catalog.ts'
import type { PluginSource } from '../config/snapshot.ts'
import type { AnyPlugin, PluginDefinition, PluginKind } from '../contracts/plugin.ts'
import type { CodeFiles } from './code-hash.ts'
import { didYouMean } from './did-you-mean.ts'
import { MillraceError } from './errors.ts'
import { optionProblems, optionsJsonSchema } from './options.ts'

/** A plugin and where it came from. */
export interface LoadedPlugin<K extends PluginKind = PluginKind> {
  readonly definition: Extract<AnyPlugin, { readonly kind: K }>
  readonly source: 'built-in' | PluginSource
  /** Of the plugin's code; state in shared memory is kept only while it is the same. `built-in` for built-ins. */
  readonly hash: string
  /** URL of its file, without a version; absent for built-ins. */
  readonly entry?: string
  /** The very text that was loaded, for other threads; absent for built-ins and packages. */
  readonly code?: CodeFiles
  /** It serves in the place of what the config asks for; says of what, and why. */
  readonly instead?: string
}

/** A built-in as the registry holds it. */
export function builtIn(definition: AnyPlugin): LoadedPlugin {
  return { definition, source: 'built-in', hash: 'built-in' }
}

export class PluginRegistry {
  readonly #plugins = new Map<string, LoadedPlugin>()

  /** @throws MR_PLUGIN_DUPLICATE when the kind has a plugin of this name; a built-in cannot be replaced */
  add(loaded: LoadedPlugin): void {
    const { kind, name } = loaded.definition
    const other = this.#plugins.get(keyOf(kind, name))
    if (other) {
      const there = other.source === 'built-in' ? 'a built-in' : `also in ${other.source.specifier}`
      throw new MillraceError(
        'MR_PLUGIN_DUPLICATE',
        `${describeSource(loaded)}: the ${kind} "${name}" is ${there}; give the plugin another name`,
        { plugin: name },
      )
    }
    this.#plugins.set(keyOf(kind, name), loaded)
  }

  /** @throws MR_PLUGIN_UNKNOWN, saying which name was probably meant */
  find<K extends PluginKind>(kind: K, name: string): LoadedPlugin<K> {
    const loaded = this.#plugins.get(keyOf(kind, name))
    if (!loaded) throw new MillraceError('MR_PLUGIN_UNKNOWN', this.#unknown(kind, name), { plugin: name })
    return loaded as unknown as LoadedPlugin<K>
  }

  has(kind: PluginKind, name: string): boolean {
    return this.#plugins.has(keyOf(kind, name))
  }

  /** Every plugin in the order it was added. */
  list(): LoadedPlugin[] {
    return [...this.#plugins.values()]
  }

  /** Registered names of a kind, sorted. */
  names(kind: PluginKind): string[] {
    return this.list()
      .filter((loaded) => loaded.definition.kind === kind)
      .map((loaded) => loaded.definition.name)
      .sort()
  }

  /** What the config's reader asks. */
  catalog(): PluginCatalog {
    const definition = (kind: PluginKind, name: string): PluginDefinition =>
      this.find(kind, name).definition as PluginDefinition
    return {
      names: (kind) => this.names(kind),
      validateOptions: (kind, name, options) => optionProblems(definition(kind, name), options),
      jsonSchema: (kind, name) => optionsJsonSchema(definition(kind, name).options),
    }
  }

  #unknown(kind: PluginKind, name: string): string {
    const names = this.names(kind)
    const elsewhere = this.list().find((loaded) => loaded.definition.name === name)
    const hint = elsewhere
      ? ` ("${name}" is of kind ${elsewhere.definition.kind})`
      : didYouMean(name, names) || hintForPath(name)
    return `No plugin of kind ${kind} is named "${name}"${hint}; known: ${names.join(', ') || 'none'}`
  }
}

/** Where a plugin came from, for messages. */
export function describeSource(loaded: Pick<LoadedPlugin, 'source' | 'definition'>): string {
  return loaded.source === 'built-in'
    ? `built-in ${loaded.definition.name}`
    : `plugin ${loaded.source.specifier}`
}

function hintForPath(name: string): string {
  return /[/\\]|\.[cm]?[jt]s$/.test(name)
    ? ' (`use` takes a plugin’s name; its file or package stands under `plugins:`)'
    : ''
}

function keyOf(kind: PluginKind, name: string): string {
  return `${kind} ${name}`
}
