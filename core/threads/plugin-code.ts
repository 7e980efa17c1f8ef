/** Plugin code changes while threads run: a registry whose content is replaced when a snapshot is committed. */
import type { PluginCatalog } from '../config/catalog.ts'
import type { PluginKind } from '../contracts/plugin.ts'
import { type LoadedPlugin, PluginRegistry } from '../host/registry.ts'

/** Names the code of all plugins together: the same text, the same code. */
export function codeVersion(registry: PluginRegistry): string {
  return registry
    .list()
    .map(({ definition, hash }) => `${definition.kind} ${definition.name} ${hash}`)
    .sort()
    .join('\n')
}

/** Stands for the registry of the moment; whoever holds it sees every replacement. */
export class CurrentRegistry extends PluginRegistry {
  current: PluginRegistry

  constructor(first: PluginRegistry) {
    super()
    this.current = first
  }

  override add(loaded: LoadedPlugin): void {
    this.current.add(loaded)
  }

  override find<K extends PluginKind>(kind: K, name: string): LoadedPlugin<K> {
    return this.current.find(kind, name)
  }

  override has(kind: PluginKind, name: string): boolean {
    return this.current.has(kind, name)
  }

  override list(): LoadedPlugin[] {
    return this.current.list()
  }

  override names(kind: PluginKind): string[] {
    return this.current.names(kind)
  }

  override catalog(): PluginCatalog {
    return this.current.catalog()
  }
}
