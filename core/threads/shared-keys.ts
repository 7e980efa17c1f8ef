/** What each use of a plugin is known by: in the keys of shared memory (`host/shared-memory.ts`), and in metrics. */
import type { FilterUse, PluginUse, ServiceConfig, Snapshot } from '../config/snapshot.ts'
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

/** A use as the config has it. */
export interface NamedUse {
  readonly kind: PluginKind
  /** Its `context.id`. */
  readonly id: string
  readonly use: PluginUse
  /** Undefined where it belongs to none. */
  readonly service?: ServiceConfig
}

/**
 * Every use of a snapshot, with the ids that the data threads and the health runner give.
 * @throws MR_PLUGIN_UNKNOWN
 */
export function usesOf(snapshot: Snapshot, registry: Pick<PluginRegistry, 'find'>): KnownUse[] {
  return Array.from(everyUse(snapshot), ({ kind, id, use: { use } }) => ({
    ...{ kind, plugin: use, id },
    hash: registry.find(kind, use).hash,
  }))
}

/** As {@link usesOf}, from the config alone. */
export function* everyUse({ filters: top, routes, services }: Snapshot): Generator<NamedUse> {
  const filterUses = (filters: readonly FilterUse[], prefix: string, service?: ServiceConfig): NamedUse[] =>
    filters.map((use) => ({ kind: 'filter', id: `${prefix}filter/${use.id}`, use, service }))
  yield* filterUses(top, '')
  for (const { listener, name, filters } of routes)
    yield* filterUses(filters, `route/${listener ?? ''}/${name}/`)
  for (const service of Object.values(services)) {
    const { name, algorithm, breaker, health, filters } = service
    const prefix = `service/${name}/`
    yield { kind: 'algorithm', id: `${prefix}algorithm`, use: algorithm, service }
    if (breaker) yield { kind: 'circuit-breaker', id: `${prefix}breaker`, use: breaker, service }
    if (health) yield { kind: 'health-source', id: `${prefix}health`, use: health, service }
    yield* filterUses(filters, prefix, service)
  }
}
