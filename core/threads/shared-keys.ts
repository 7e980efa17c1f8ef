/** What each use of a plugin is known by: in the keys of shared memory (`host/shared-memory.ts`), and in metrics. */
import type { PluginUse, Snapshot } from '../config/snapshot.ts'
import type { PluginKind } from '../contracts/plugin.ts'
import type { PluginRegistry } from '../host/registry.ts'

/** One use of a plugin: `id` is its `context.id`, `hash` the version of the plugin's code. */
export interface KnownUse {
  readonly kind: PluginKind
  readonly plugin: string
  readonly hash: string
  readonly id: string
}

/** The memory of a use belongs to its code, too. */
export function memoryName({ kind, plugin, hash, id }: KnownUse): string {
  return `${kind}|${plugin}|${hash}|${JSON.stringify(id)}`
}

/** The metrics of a use go on over changes of its code. */
export function metricsName({ plugin, id }: Pick<KnownUse, 'plugin' | 'id'>): string {
  return `${plugin}|${JSON.stringify(id)}`
}

/** Kind, plugin, code hash and slot hold no bar; the use is a JSON string; a name of any text follows. */
const keyPattern = /^((?:[^|]*\|){3})[^|]*\|("(?:[^"\\]|\\.)*")\|/

/** {@link memoryName} of the use that asked for the memory; undefined where the key is of another form. */
export function ownerOfKey(key: string): string | undefined {
  const match = keyPattern.exec(key)
  return match ? match[1] + match[2] : undefined
}

/**
 * Every use of a snapshot, with the ids that the data threads and the health runner give.
 * @throws MR_PLUGIN_UNKNOWN
 */
export function usesOf(snapshot: Snapshot, registry: Pick<PluginRegistry, 'find'>): KnownUse[] {
  const uses: KnownUse[] = []
  const add = (kind: PluginKind, id: string, { use }: PluginUse): void => {
    uses.push({ kind, plugin: use, hash: registry.find(kind, use).hash, id })
  }
  for (const filter of snapshot.filters) add('filter', `filter/${filter.id}`, filter)
  for (const { listener, name, filters } of snapshot.routes) {
    for (const filter of filters) add('filter', `route/${listener ?? ''}/${name}/filter/${filter.id}`, filter)
  }
  for (const { name, algorithm, breaker, health, filters } of Object.values(snapshot.services)) {
    add('algorithm', `service/${name}/algorithm`, algorithm)
    if (breaker) add('circuit-breaker', `service/${name}/breaker`, breaker)
    if (health) add('health-source', `service/${name}/health`, health)
    for (const filter of filters) add('filter', `service/${name}/filter/${filter.id}`, filter)
  }
  return uses
}
