/** A config as those see it who may not have its secrets: private keys, passwords, tokens, and options that their plugin marks. */
import type { PluginCatalog } from '../config/catalog.ts'
import { asList, asMap } from '../config/checks.ts'
import { withoutMarked, withoutSecrets } from '../config/secrets.ts'
import { useName } from '../config/uses.ts'
import type { PluginKind } from '../contracts/plugin.ts'

type Data = Readonly<Record<string, unknown>>

/** Keys of a service under which a plugin is used. */
const servicePlugins: readonly (readonly [key: string, kind: PluginKind])[] = [
  ['algorithm', 'algorithm'],
  ['health', 'health-source'],
  ['breaker', 'circuit-breaker'],
]

export function redacted(config: Data, catalog: PluginCatalog): Data {
  const services = Object.entries(asMap(config.services)).map(([name, service]) => [
    name,
    serviceOf(asMap(service), catalog),
  ])
  const marked = {
    ...filtersOf(config, catalog),
    ...(config.routes === undefined
      ? {}
      : { routes: asList(config.routes).map((route) => filtersOf(asMap(route), catalog)) }),
    ...(config.services === undefined ? {} : { services: Object.fromEntries(services) }),
  }
  return withoutSecrets(marked, String) as Data
}

function serviceOf(service: Data, catalog: PluginCatalog): Data {
  const uses = servicePlugins.flatMap(([key, kind]) =>
    service[key] === undefined ? [] : [[key, useOf(kind, service[key], catalog)]],
  )
  return { ...filtersOf(service, catalog), ...Object.fromEntries(uses) }
}

function filtersOf(part: Data, catalog: PluginCatalog): Data {
  if (part.filters === undefined) return part
  return { ...part, filters: asList(part.filters).map((use) => useOf('filter', use, catalog)) }
}

function useOf(kind: PluginKind, use: unknown, catalog: PluginCatalog): unknown {
  const name = useName(use)
  if (typeof use !== 'object' || use === null || name === undefined) return use
  const schema = catalog.names(kind).includes(name) ? catalog.jsonSchema(kind, name) : undefined
  return withoutMarked(use, schema)
}
