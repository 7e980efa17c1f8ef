/** `millrace explain`: the effective config, the plugin tree, and which route a request takes. */
import { stringify } from 'yaml'
import type { LoadedConfig } from '../core/config/load.ts'
import { withoutSecrets } from '../core/config/secrets.ts'
import type { BackendConfig, FilterUse, RouteConfig, ServiceConfig } from '../core/config/snapshot.ts'
import { Router } from '../core/proxy/router.ts'
import { effectiveConfig, fallbackText } from './effective.ts'
import { UsageError } from './failure.ts'
import { chosenListeners } from './listeners.ts'
import { findConfig, type Loaded, loadWithPlugins, tellWarnings } from './load.ts'
import type { Verb } from './main.ts'
import { withOptionDefaults } from './option-defaults.ts'
import { pluginTree } from './plugin-tree.ts'
import { timeImports } from './start-up.ts'
import type { Terminal } from './terminal.ts'

interface RouteQuery {
  readonly method: string
  /** Lower case, without port. */
  readonly host: string
  /** As it stands in the URL: routes match what is sent, byte for byte. */
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  /** Of a URL that names this machine, and a port. */
  readonly localPort: number | undefined
}

const absoluteUrl = /^https?:\/\/(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]+)(?::(\d+))?(\/[^?#]*)?/i
const thisMachine = /^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])$/i

function parseQuery(method: string, url: string, fields: readonly string[]): RouteQuery {
  const pairs = fields.map((field): [string, string] => {
    const colon = field.indexOf(':')
    if (colon < 1) throw new UsageError(`expected a header as NAME:VALUE, not ${field}`)
    return [field.slice(0, colon).trim().toLowerCase(), field.slice(colon + 1).trim()]
  })
  const headers = new Map(pairs)
  const absolute = url.startsWith('/') ? `http://${headers.get('host') ?? 'localhost'}${url}` : url
  const match = absoluteUrl.exec(absolute)
  if (match === null) throw new UsageError(`expected a URL such as http://shop.example.com/api, not ${url}`)
  const [, host, port, path = '/'] = match
  const localPort =
    url === absolute && port !== undefined && thisMachine.test(host) ? Number(port) : undefined
  return { method, host: host.toLowerCase(), path, headers, localPort }
}

function servicesLabel(route: RouteConfig): string {
  if (route.services.length === 1) return route.services[0].service
  const total = route.services.reduce((sum, { weight }) => sum + weight, 0)
  return route.services
    .map(({ service, weight }) => `${service} (${Number(((100 * weight) / total).toFixed(1))}%)`)
    .join(', ')
}

const chain = (uses: readonly FilterUse[]): string[] => uses.map(({ id }) => id)

/** What is applied to the algorithm's choice; what is off is left out. */
function balancing({ loadBound, slowStart, zonePreference, panicThreshold }: ServiceConfig): string {
  return [
    ...(loadBound > 0 ? [`load bound ${loadBound}`] : []),
    ...(slowStart.windowMs > 0 ? [`slow start ${slowStart.windowMs / 1000}s`] : []),
    `zones ${zonePreference ? 'preferred' : 'ignored'}`,
    `panic under ${Number((100 * panicThreshold).toFixed(1))}%`,
  ].join(', ')
}

function backendLabel({ url, weight, zone, priority }: BackendConfig): string {
  return [
    url,
    ...(weight === 1 ? [] : [`weight ${weight}`]),
    ...(zone === '' ? [] : [`zone ${zone}`]),
    ...(priority === 0 ? [] : [`priority ${priority}`]),
  ].join(' ')
}

function serviceLines(
  service: ServiceConfig,
  top: readonly string[],
  redact: LoadedConfig['redact'],
): string[] {
  const filters = [...top, ...chain(service.filters)].join(' → ')
  const { fallback } = service.breaker ?? {}
  const instead =
    fallback && ` (fallback ${JSON.stringify(withoutSecrets(fallbackText(fallback), redact, true))})`
  const breaker = service.breaker ? service.breaker.use + (instead ?? '') : 'off'
  const rows = [
    `service   ${service.name}`,
    `  filters    ${filters === '' ? 'none' : filters}`,
    `  algorithm  ${service.algorithm.use}, breaker ${breaker}, health ${service.health?.use ?? 'off'}`,
    `  balancing  ${balancing(service)}`,
    ...service.backends.map((backend) => `  backend    ${backendLabel(backend)}`),
  ]
  return rows
}

/** What happens to one request, for each listener that would accept it. */
function explainRoute(config: LoadedConfig, query: RouteQuery, only: string | undefined): string {
  const { snapshot, redact } = config
  const listeners = chosenListeners(config, only, query.localPort)
  const own = snapshot.listeners.filter(({ ownRoutes }) => ownRoutes).map(({ name }) => name)
  const router = new Router(snapshot.routes, own)
  const { method, host, path, headers } = query
  const read = (name: string): string | undefined => headers.get(name)
  const blocks = listeners.map(({ name }) => {
    const route = router.match(name, host, path, method, read)
    const head = `listener  ${name}`
    if (route === undefined) return `${head}\nroute     none: 404 MR_NO_ROUTE`
    const services = route.services.map(({ service }) => snapshot.services[service])
    const top = [...chain(snapshot.filters), ...chain(route.filters)]
    const rest = services.flatMap((service) => serviceLines(service, top, redact))
    return [head, `route     ${route.name} → ${servicesLabel(route)}`, ...rest].join('\n')
  })
  return blocks.join('\n\n')
}

async function explainAll(
  loaded: Loaded,
  imports: ReadonlyMap<string, number>,
  terminal: Terminal,
): Promise<void> {
  const config = withOptionDefaults(loaded.config, loaded.registry.catalog())
  terminal.out('# Effective config: the file with every default filled in')
  terminal.out(stringify(effectiveConfig(config, config.redact), { aliasDuplicateObjects: false }).trimEnd())
  terminal.out(
    '\n# Plugins, in the order in which a request meets them; each was made once here, to time it, and stopped',
  )
  terminal.out((await pluginTree(loaded, imports)).replaceAll(/^/gm, '# '))
}

export const explain: Verb = (program, { terminal }) =>
  program
    .command('explain [method] [url]')
    .description('print the effective config and the plugin tree, or which route a request takes')
    .option('-c, --config <file>', 'config file')
    .option('-H, --header <name:value>', 'a header of the request; may be repeated', collect)
    .option('-l, --listener <name>', 'only this listener')
    .action(async (method: string | undefined, url: string | undefined, options: ExplainOptions) => {
      const source = findConfig(terminal, options.config)
      const query = readQuery(method, url, options)
      const imports = await timeImports(source, terminal.env)
      const loaded = await loadWithPlugins(source, terminal.env)
      tellWarnings(loaded.config, terminal)
      if (query === undefined) await explainAll(loaded, imports, terminal)
      else terminal.out(explainRoute(loaded.config, query, options.listener))
    })

interface ExplainOptions {
  readonly config?: string
  readonly header?: readonly string[]
  readonly listener?: string
}

const collect = (value: string, values: readonly string[] = []): readonly string[] => [...values, value]

function readQuery(method: string | undefined, url: string | undefined, options: ExplainOptions) {
  if (method === undefined) return undefined
  if (url === undefined)
    throw new UsageError('expected a method and a URL: explain GET http://shop.example.com/')
  return parseQuery(method, url, options.header ?? [])
}
