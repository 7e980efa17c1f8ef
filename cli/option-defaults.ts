/** What the JSON Schema of plugins' options says of them: defaults, and which are secret. */
import type { PluginCatalog } from '../core/config/catalog.ts'
import type { LoadedConfig } from '../core/config/load.ts'
import { withoutMarked } from '../core/config/secrets.ts'
import type { FilterUse, PluginUse, RouteConfig, ServiceConfig } from '../core/config/snapshot.ts'
import type { PluginKind } from '../core/contracts/plugin.ts'

type Fill = <U extends PluginUse>(kind: PluginKind, use: U) => U

function defaultsOf(schema: object | undefined): Record<string, unknown> {
  const { properties } = (schema ?? {}) as { readonly properties?: Readonly<Record<string, unknown>> }
  const defaults = Object.entries(properties ?? {}).flatMap(([name, of]) =>
    typeof of === 'object' && of !== null && 'default' in of ? [[name, of.default] as const] : [],
  )
  return Object.fromEntries(defaults)
}

const filtersFilled = (filters: readonly FilterUse[], fill: Fill): readonly FilterUse[] =>
  filters.map((filter) => fill('filter', filter))

const routeFilled = (route: RouteConfig, fill: Fill): RouteConfig => ({
  ...route,
  filters: filtersFilled(route.filters, fill),
})

const serviceFilled = (service: ServiceConfig, fill: Fill): ServiceConfig => ({
  ...service,
  algorithm: fill('algorithm', service.algorithm),
  breaker: service.breaker && fill('circuit-breaker', service.breaker),
  health: service.health && fill('health-source', service.health),
  filters: filtersFilled(service.filters, fill),
})

/** The config with every option that a plugin would fill in itself, and without those that it calls secret. */
export function withOptionDefaults(config: LoadedConfig, catalog: PluginCatalog): LoadedConfig {
  const fill: Fill = (kind, use) => {
    const schema = catalog.jsonSchema(kind, use.use)
    return { ...use, options: withoutMarked({ ...defaultsOf(schema), ...use.options }, schema) }
  }
  const { snapshot } = config
  const services = Object.entries(snapshot.services).map(([name, service]) => [
    name,
    serviceFilled(service, fill),
  ])
  return {
    ...config,
    snapshot: {
      ...snapshot,
      filters: filtersFilled(snapshot.filters, fill),
      routes: snapshot.routes.map((route) => routeFilled(route, fill)),
      services: Object.fromEntries(services),
    },
  }
}
