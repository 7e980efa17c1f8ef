/** What the config's reader knows about loaded plugins, so that a wrong name or option is a config problem with its
 * line and column. The plugin registry implements it. */
import type { PluginKind } from '../contracts/plugin.ts'

export interface OptionProblem {
  readonly message: string
  /** Within the options; empty: the options as a whole. */
  readonly path: readonly (string | number)[]
  /** The word that was probably meant, or a whole hint. */
  readonly suggestion?: string
}

export interface PluginCatalog {
  /** Registered names of a kind. */
  names(kind: PluginKind): readonly string[]
  /** Problems of the options (slot keys already taken out); empty when they are right. `name` is registered. */
  validateOptions(
    kind: PluginKind,
    name: string,
    options: Readonly<Record<string, unknown>>,
  ): readonly OptionProblem[]
  /** Names that plugins may have which the config names and which could not be loaded; undefined: there are none such. */
  readonly missing?: ReadonlySet<string>
  /** A file that may hold the plugin of that name, as `plugins:` would name it, where it does not. */
  unnamedFile?(name: string): string | undefined
  /** JSON Schema of the options; undefined where the plugin's schema library has none. */
  jsonSchema(kind: PluginKind, name: string): object | undefined
}
