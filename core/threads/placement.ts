/**
 * Where each service lives in the shared table, and the heavy tables of algorithms, built here on the main thread into
 * shared memory. A service of which nothing has changed keeps its object, so that threads see at a glance what is new.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ServiceConfig, Snapshot } from '../config/snapshot.ts'
import type { Member } from '../contracts/algorithm.ts'
import { MillraceError } from '../host/errors.ts'
import { parseOptions } from '../host/options.ts'
import type { LoadedPlugin, PluginRegistry } from '../host/registry.ts'
import type { PlacedService, ThreadSnapshot } from '../proxy/thread-snapshot.ts'
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

/**
 * Places every service of the snapshot. Between heavy tables the event loop gets a turn.
 * @throws MR_PLUGIN_UNKNOWN, MR_PLUGIN_OPTIONS, MR_PLUGIN_FAULT
 */
export async function placeServices(
  snapshot: Snapshot,
  slots: SlotPlan,
  services: SlotPlan,
  previous: ThreadSnapshot | undefined,
  registry: PluginRegistry,
): Promise<ReadonlyMap<string, PlacedService>> {
  const placed = new Map<string, PlacedService>()
  for (const config of Object.values(snapshot.services)) {
    const index = services.slots.get(config.name)!
    const own = config.backends.map((backend) => slots.slots.get(backendId(config.name, backend.url))!)
    const before = previous?.services.get(config.name)
    if (before?.placement.index === index && isDeepStrictEqual(before.config, config)) {
      // Same backends in the same order: the same slots, and the same table.
      placed.set(config.name, before)
      continue
    }
    const table = await tableFor(config, before, registry)
    placed.set(config.name, { config, placement: { index, slots: own, table } })
  }
  return placed
}

async function tableFor(
  config: ServiceConfig,
  before: PlacedService | undefined,
  registry: PluginRegistry,
): Promise<Uint8Array<SharedArrayBuffer> | undefined> {
  const { definition } = registry.find('algorithm', config.algorithm.use)
  if (!definition.buildTable) return undefined
  const members = config.backends.map(memberOf)
  if (before?.placement.table && sameTable(before.config, config, members)) return before.placement.table
  await new Promise<void>((resolve) => setImmediate(resolve))
  const options = parseOptions(definition, config.algorithm.options, config.algorithm.path)
  return share(build(definition, members, options, config.algorithm.path))
}

/** The code is fixed while the process runs, so members and options are all that a table depends on. */
function sameTable(before: ServiceConfig, config: ServiceConfig, members: readonly Member[]): boolean {
  return (
    before.algorithm.use === config.algorithm.use &&
    isDeepStrictEqual(before.algorithm.options, config.algorithm.options) &&
    isDeepStrictEqual(before.backends.map(memberOf), members)
  )
}

function memberOf(backend: ServiceConfig['backends'][number]): Member {
  return { url: backend.url, weight: backend.weight, zone: backend.zone, tags: backend.tags }
}

function build(
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
    const message = `The algorithm "${name}": buildTable threw: ${(cause as Error).message}`
    throw new MillraceError('MR_PLUGIN_FAULT', message, { plugin: name, hook: 'buildTable', path, cause })
  }
  const message = `The algorithm "${name}": buildTable must return a Uint8Array`
  throw new MillraceError('MR_PLUGIN_SHAPE', message, { plugin: name, hook: 'buildTable', path })
}

function share(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
  shared.set(bytes)
  return shared
}
