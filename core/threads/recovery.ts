/**
 * What serves when a version of a plugin's code is barred: the version that served before it, from the text that the main
 * thread has kept; else a stand-in. And what a config is told that asks for a barred version.
 */
import { withStandIn } from '../host/loader.ts'
import { type LoadedPlugin, PluginRegistry } from '../host/registry.ts'
import type { ErrorData } from './messages.ts'
import type { PluginHealth } from './plugin-health.ts'

export class Recovery {
  readonly #health: PluginHealth
  /** Kind and name → the version that served before the one of now. */
  readonly #former = new Map<string, LoadedPlugin>()

  constructor(health: PluginHealth) {
    this.#health = health
  }

  /** One set of plugins has taken the place of another. */
  served(now: PluginRegistry, before: PluginRegistry | undefined): void {
    if (!before || now === before) return
    const versions = new Map(now.list().map((loaded) => [keyOf(loaded), loaded.hash]))
    for (const loaded of before.list()) {
      if (loaded.source === 'built-in') continue
      const hash = versions.get(keyOf(loaded))
      if (hash === undefined) this.#former.delete(keyOf(loaded))
      else if (hash !== loaded.hash && loaded.code) this.#former.set(keyOf(loaded), loaded)
    }
  }

  isBarred(registry: PluginRegistry): boolean {
    return registry.list().some((loaded) => this.#health.bar(loaded))
  }

  /** What may serve in the place of these plugins, best first. Each leaves all that is not barred as it is. */
  candidates(registry: PluginRegistry): PluginRegistry[] {
    const former = replaced(registry, (loaded) => this.#instead(loaded, this.#former.get(keyOf(loaded))))
    const standIns = replaced(registry, (loaded) => this.#instead(loaded, undefined))
    return [former, standIns].filter((found) => found !== undefined)
  }

  /** Why a config with these plugins is refused; empty: it is not. */
  problems(registry: PluginRegistry): ErrorData[] {
    return registry.list().flatMap((loaded): ErrorData[] => {
      const bar = this.#health.bar(loaded)
      if (!bar || loaded.source === 'built-in') return []
      const { kind, name } = loaded.definition
      const message =
        `Plugin ${loaded.source.specifier}: this version of its code (${loaded.hash}) has ended ${bar.crashes} data threads ` +
        `by a throw outside of any hook (${bar.message}) and is not loaded again; change the ${kind} "${name}", or restart the process`
      return [{ code: 'MR_PLUGIN_BARRED', message, plugin: name }]
    })
  }

  /** The plugin itself where it is not barred; undefined where nothing can take its place. */
  #instead(loaded: LoadedPlugin, former: LoadedPlugin | undefined): LoadedPlugin | undefined {
    const bar = this.#health.bar(loaded)
    if (!bar) return loaded
    const why = `its version ${loaded.hash} has ended ${bar.crashes} data threads (${bar.message})`
    if (former && !this.#health.bar(former))
      return { ...former, instead: `${why}; its former version ${former.hash} serves` }
    const missing = withStandIn(loaded)
    return missing && { ...missing, instead: `${why}; a stand-in serves` }
  }
}

function replaced(
  registry: PluginRegistry,
  instead: (loaded: LoadedPlugin) => LoadedPlugin | undefined,
): PluginRegistry | undefined {
  const next = new PluginRegistry()
  for (const loaded of registry.list()) {
    const found = instead(loaded)
    if (!found) return undefined
    next.add(found)
  }
  return next
}

function keyOf({ definition }: LoadedPlugin): string {
  return `${definition.kind} ${definition.name}`
}
