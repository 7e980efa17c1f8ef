/**
 * Where each service lives in the shared table, and the heavy tables of algorithms, built here on the main thread into
 * shared memory. A service of which nothing has changed keeps its object, so that threads see at a glance what is new.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ServiceConfig, Snapshot } from '../config/snapshot.ts'
import type { Member } from '../contracts/algorithm.ts'
import type { PluginKind } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import { LateError } from '../host/instance-scope.ts'
import { parseOptions } from '../host/options.ts'
import type { LoadedPlugin, PluginRegistry } from '../host/registry.ts'
import type { PlacedService } from '../proxy/thread-snapshot.ts'
import type { SlotPlan } from './slots.ts'

/** Identity of a backend; also its key in the slot pool. */
export function backendId(service: string, url: string): string {
  return `${service}/${url}`
}

/** Every backend of a snapshot by identity. */
export function* backendIds(snapshot: Snapshot): Generator<string> {
  for (const service of Object.values(snapshot.services)) {
    for (const backend of service.backends) yield backendId(service.name, backend.url)
  }
}

export interface PlacementSources {
  readonly slots: SlotPlan
  readonly services: SlotPlan
  readonly registry: PluginRegistry
  /** What is served now, and the plugins it is served with. */
  readonly previous:
    | { readonly services: ReadonlyMap<string, PlacedService>; readonly registry: PluginRegistry }
    | undefined
}

/**
 * Places every service of the snapshot. Between heavy tables the event loop gets a turn.
 * @throws MR_PLUGIN_UNKNOWN, MR_PLUGIN_OPTIONS, MR_PLUGIN_SHAPE, MR_PLUGIN_FAULT
 */
export async function placeServices(
  snapshot: Snapshot,
  sources: PlacementSources,
): Promise<ReadonlyMap<string, PlacedService>> {
  const placed = new Map<string, PlacedService>()
  for (const config of Object.values(snapshot.services)) {
    const index = sources.services.slots.get(config.name)!
    const before = sources.previous?.services.get(config.name)
    if (
      before?.placement.index === index &&
      isDeepStrictEqual(before.config, config) &&
      sameCode(config, sources)
    ) {
      // The same backends in the same order: the same slots, and the same table.
      placed.set(config.name, before)
      continue
    }
    const slots = config.backends.map(
      (backend) => sources.slots.slots.get(backendId(config.name, backend.url))!,
    )
    const table = await tableFor(config, before, sources)
    placed.set(config.name, { config, placement: { index, slots, table } })
  }
  return placed
}

async function tableFor(
  config: ServiceConfig,
  before: PlacedService | undefined,
  { registry, previous }: PlacementSources,
): Promise<Uint8Array<SharedArrayBuffer> | undefined> {
  const { use, options, path } = config.algorithm
  const { definition, hash } = registry.find('algorithm', use)
  if (!definition.buildTable) return undefined
  const members = config.backends.map(memberOf)
  const reusable =
    before?.placement.table &&
    before.config.algorithm.use === use &&
    previous?.registry.find('algorithm', use).hash === hash &&
    isDeepStrictEqual(before.config.algorithm.options, options) &&
    isDeepStrictEqual(before.config.backends.map(memberOf), members)
  if (reusable) return before.placement.table
  await new Promise<void>((resolve) => setImmediate(resolve))
  return share(buildTable(definition, members, parseOptions(definition, options, path), path))
}

/** None of the plugins that the service uses on data threads has other code than before. */
function sameCode(config: ServiceConfig, { registry, previous }: PlacementSources): boolean {
  if (!previous || previous.registry === registry) return true
  const same = (kind: PluginKind, use: string): boolean =>
    previous.registry.find(kind, use).hash === registry.find(kind, use).hash
  return (
    same('algorithm', config.algorithm.use) &&
    (!config.breaker || same('circuit-breaker', config.breaker.use)) &&
    config.filters.every(({ use }) => same('filter', use))
  )
}

/** What an algorithm is told of a backend. */
export function memberOf(backend: ServiceConfig['backends'][number]): Member {
  return { url: backend.url, weight: backend.weight, zone: backend.zone, tags: backend.tags }
}

/**
 * The table of an algorithm that has one.
 * @param options parsed
 * @throws MR_PLUGIN_FAULT, MR_PLUGIN_TIMEOUT, MR_PLUGIN_SHAPE
 */
export function buildTable(
  definition: LoadedPlugin<'algorithm'>['definition'],
  members: readonly Member[],
  options: unknown,
  path: string,
): Uint8Array {
  const { name } = definition
  try {
    const bytes = definition.buildTable?.(members, options)
    if (bytes instanceof Uint8Array) return bytes
  } catch (cause) {
    const late = cause instanceof LateError
    const what = late ? 'was late' : 'threw'
    const message = `The algorithm "${name}": buildTable ${what}: ${(cause as Error).message}`
    const code = late ? 'MR_PLUGIN_TIMEOUT' : 'MR_PLUGIN_FAULT'
    throw new MillraceError(code, message, { plugin: name, hook: 'buildTable', path, cause })
  }
  const message = `The algorithm "${name}": buildTable must return a Uint8Array`
  throw new MillraceError('MR_PLUGIN_SHAPE', message, { plugin: name, hook: 'buildTable', path })
}

function share(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
  shared.set(bytes)
  return shared
}
