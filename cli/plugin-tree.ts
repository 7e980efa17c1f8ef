/** Every use of a plugin in a config, with its options and how long it took to start, as a tree. */

import { withoutMarked, withoutSecrets } from '../core/config/secrets.ts'
import type {
  BreakerFallback,
  FilterUse,
  PluginUse,
  ServiceConfig,
  Snapshot,
} from '../core/config/snapshot.ts'
import { type PluginKind, threadKinds } from '../core/contracts/plugin.ts'
import type { PluginRegistry } from '../core/host/registry.ts'
import { memberOf } from '../core/threads/placement.ts'
import { fallbackText } from './effective.ts'
import type { Loaded } from './load.ts'
import { timeCreate, timeTable } from './start-up.ts'

interface Tree {
  readonly label: string
  readonly children: readonly Tree[]
}

function treeLines({ label, children }: Tree, first = '', others = ''): string[] {
  const below = children.flatMap((child, index) => {
    const last = index === children.length - 1
    return treeLines(child, `${others}${last ? '└─ ' : '├─ '}`, `${others}${last ? '   ' : '│  '}`)
  })
  return [first + label, ...below]
}

const leaf = (label: string): Tree => ({ label, children: [] })

/** `3.21 ms`; a tenth of a microsecond interests nobody. */
const time = (ms: number): string => `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`

interface Around {
  readonly registry: PluginRegistry
  readonly threads: number
  /** What relative paths are taken from. */
  readonly directory: string
  /** By the specifier of the plugin. */
  readonly imports: ReadonlyMap<string, number>
  readonly redact: (text: string) => string
}

/** `create 0.10 ms`, or why it failed. */
function spentOn(what: string, taken: number | string, redact: Around['redact']): string {
  return typeof taken === 'number' ? `${what} ${time(taken)}` : `${what} failed: ${redact(taken)}`
}

/** `filter request-id (built-in), create 0.10 ms`, and where it runs when that is not every data thread. */
async function useTree(
  around: Around,
  kind: PluginKind,
  use: PluginUse,
  id: string,
  more: readonly Tree[] = [],
): Promise<Tree> {
  const { registry, threads, directory, imports, redact } = around
  const loaded = registry.find(kind, use.use)
  const { source, definition } = loaded
  const from = source === 'built-in' ? source : source.specifier
  const where = threadKinds.includes(kind) ? '' : ', main thread'
  const imported = source === 'built-in' ? undefined : imports.get(source.specifier)
  const scratch = { id, path: use.path, directory, threads, trial: false }
  const spent = [
    ...(imported === undefined ? [] : [`import ${time(imported)}`]),
    spentOn('create', await timeCreate(loaded, use, scratch), redact),
  ]
  const schema = registry.catalog().jsonSchema(kind, definition.name)
  const options = withoutSecrets(withoutMarked(use.options, schema), redact, true) as object
  const written = Object.entries(options).map(([name, value]) => leaf(`${name}: ${JSON.stringify(value)}`))
  return {
    label: `${kind} ${use.use} (${from}${where}), ${spent.join(', ')}`,
    children: [...written, ...more],
  }
}

async function filterTrees(around: Around, filters: readonly FilterUse[], prefix: string): Promise<Tree[]> {
  const trees: Tree[] = []
  for (const filter of filters) {
    const tree = await useTree(around, 'filter', filter, `${prefix}/${filter.id}`)
    trees.push(filter.id === filter.use ? tree : { ...tree, label: `${tree.label}, as ${filter.id}` })
  }
  return trees
}

/** With the time that its table takes, which is built on the main thread whenever members or weights change. */
async function algorithmTree(around: Around, { name, algorithm, backends }: ServiceConfig): Promise<Tree> {
  const tree = await useTree(around, 'algorithm', algorithm, `service/${name}/algorithm`)
  const taken = await timeTable(
    around.registry.find('algorithm', algorithm.use),
    algorithm,
    backends.map(memberOf),
  )
  if (taken === undefined) return tree
  return { ...tree, label: `${tree.label}, ${spentOn('table', taken, around.redact)}` }
}

const fallbackLeaf = (fallback: BreakerFallback | undefined, redact: Around['redact']): Tree[] =>
  fallback === undefined
    ? []
    : [leaf(`fallback: ${JSON.stringify(withoutSecrets(fallbackText(fallback), redact, true))}`)]

async function serviceTree(around: Around, service: ServiceConfig): Promise<Tree> {
  const { name, filters, breaker, health } = service
  const prefix = `service/${name}`
  const children = await filterTrees(around, filters, prefix)
  children.push(await algorithmTree(around, service))
  if (breaker)
    children.push(
      await useTree(
        around,
        'circuit-breaker',
        breaker,
        `${prefix}/breaker`,
        fallbackLeaf(breaker.fallback, around.redact),
      ),
    )
  if (health) children.push(await useTree(around, 'health-source', health, `${prefix}/health`))
  return { label: `service ${name}`, children }
}

/** In the order in which a request meets them. Every plugin is made once for it, and stopped again. */
export async function pluginTree(
  { config, registry }: Loaded,
  imports: ReadonlyMap<string, number>,
): Promise<string> {
  const { threads } = config.bootstrap.node
  const { directory } = config.snapshot
  const around: Around = { registry, threads, directory, imports, redact: config.redact }
  return treeLines({
    label: `${threads} data thread${threads === 1 ? '' : 's'}`,
    children: await parts(around, config.snapshot),
  }).join('\n')
}

async function parts(around: Around, { filters, routes, services }: Snapshot): Promise<Tree[]> {
  const trees = await filterTrees(around, filters, 'filters')
  for (const { name, filters: own } of routes)
    if (own.length > 0)
      trees.push({ label: `route ${name}`, children: await filterTrees(around, own, `route/${name}`) })
  for (const service of Object.values(services)) trees.push(await serviceTree(around, service))
  return trees
}
