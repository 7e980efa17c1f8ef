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
import { fallbackText } from './effective.ts'
import type { Loaded } from './load.ts'
import { timeCreate } from './start-up.ts'

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
  /** By the specifier of the plugin. */
  readonly imports: ReadonlyMap<string, number>
  readonly redact: (text: string) => string
}

/** `filter request-id (built-in), create 0.10 ms`, and where it runs when that is not every data thread. */
async function useTree(
  around: Around,
  kind: PluginKind,
  use: PluginUse,
  id: string,
  more: readonly Tree[] = [],
): Promise<Tree> {
  const { registry, threads, imports, redact } = around
  const loaded = registry.find(kind, use.use)
  const { source, definition } = loaded
  const from = source === 'built-in' ? source : source.specifier
  const where = threadKinds.includes(kind) ? '' : ', main thread'
  const imported = source === 'built-in' ? undefined : imports.get(source.specifier)
  const created = await timeCreate(loaded, use, id, threads)
  const spent = [
    ...(imported === undefined ? [] : [`import ${time(imported)}`]),
    typeof created === 'number' ? `create ${time(created)}` : `create failed: ${redact(created)}`,
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

const fallbackLeaf = (fallback: BreakerFallback | undefined, redact: Around['redact']): Tree[] =>
  fallback === undefined
    ? []
    : [leaf(`fallback: ${JSON.stringify(withoutSecrets(fallbackText(fallback), redact, true))}`)]

async function serviceTree(around: Around, service: ServiceConfig): Promise<Tree> {
  const { name, filters, algorithm, breaker, health } = service
  const prefix = `service/${name}`
  const children = await filterTrees(around, filters, prefix)
  children.push(await useTree(around, 'algorithm', algorithm, `${prefix}/algorithm`))
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
  const around: Around = { registry, threads, imports, redact: config.redact }
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
