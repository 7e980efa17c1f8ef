/** What the schema cannot see, because it spans several values: references, duplicates, plugin options. Works on the
 * raw data and passes over what the schema refuses, so that one run reports everything. */
import { closest } from '../host/did-you-mean.ts'
import { isLoopback } from './addresses.ts'
import type { PluginCatalog } from './catalog.ts'
import { checkRoutes } from './check-routes.ts'
import { checkUse } from './check-uses.ts'
import type { ConfigDocument } from './document.ts'
import { type ConfigPath, renderPath } from './problems.ts'
import { listenAddress } from './schema.ts'
import { backendUrl } from './schema-service.ts'
import { namesServices } from './service-name.ts'
import { useName } from './uses.ts'

export type Raw = Readonly<Record<string, unknown>>

export function asMap(value: unknown): Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {}
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function runChecks(document: ConfigDocument, catalog: PluginCatalog | undefined): void {
  const root = asMap(document.value)
  const services = Object.entries(asMap(root.services))
  const listeners = Object.entries(asMap(root.listeners))
  const names = services.map(([name]) => name)
  const checkFilters = (list: unknown, path: ConfigPath) =>
    checkFilterList(document, catalog, list, path, names)

  checkAddresses(document, root)
  checkAdmin(document, root)
  checkFilters(root.filters, ['filters'])
  for (const [name, service] of services) {
    checkService(document, catalog, asMap(service), ['services', name])
    checkFallback(document, asMap(service), name, names)
    checkFilters(asMap(service).filters, ['services', name, 'filters'])
  }
  checkZone(
    document,
    root,
    services.map(([, service]) => asMap(service)),
  )
  const routeLists: [list: readonly unknown[], path: ConfigPath][] = [[asList(root.routes), ['routes']]]
  for (const [name, listener] of listeners)
    routeLists.push([asList(asMap(listener).routes), ['listeners', name, 'routes']])
  checkRoutes(document, routeLists)
  for (const [list, path] of routeLists) {
    list.forEach((route, index) => {
      const at = [...path, index]
      checkFilters(asMap(route).filters, [...at, 'filters'])
      checkServiceNames(document, asMap(route).service, [...at, 'service'], names)
    })
  }
}

function checkAdmin(document: ConfigDocument, root: Raw): void {
  const path = ['admin', 'address']
  const parsed = listenAddress.safeParse(asMap(root.admin).address)
  if (!parsed.success || isLoopback(parsed.data.host)) return
  const message = 'other machines reach the admin listener here: it asks nobody who they are'
  const suggestion = 'bind 127.0.0.1, or see that only those who may can reach it'
  document.warn({ code: 'MR_CONFIG_INVALID', message, path, suggestion })
}

/** A zone that no backend has is a slip in one place or the other: nothing would ever be preferred. */
function checkZone(document: ConfigDocument, root: Raw, services: readonly Raw[]): void {
  const { zone } = asMap(root.node)
  const backends = services.flatMap((service) => asList(service.backends))
  const zones = new Set(
    backends.map((backend) => asMap(backend).zone).filter((one) => typeof one === 'string' && one !== ''),
  ) as Set<string>
  if (typeof zone !== 'string' || zone === '' || zones.size === 0 || zones.has(zone)) return
  const path = ['node', 'zone']
  const near = closest(zone, [...zones])
  const all = `zones are ${[...zones].slice(0, 20).join(', ')}`
  document.warn({
    code: 'MR_CONFIG_REFERENCE',
    message: `no backend is in the zone ${document.show(path, zone)}: none is preferred`,
    path,
    suggestion: near === undefined ? all : `did you mean ${JSON.stringify(near)}?`,
  })
}

function checkAddresses(document: ConfigDocument, root: Raw): void {
  const seen = new Map<string, string>()
  const places = Object.keys(asMap(root.listeners)).map((name): [unknown, ConfigPath] => [
    asMap(asMap(root.listeners)[name]).address,
    ['listeners', name, 'address'],
  ])
  places.push(
    [asMap(root.admin).address, ['admin', 'address']],
    [asMap(root.api).address, ['api', 'address']],
  )
  for (const [text, path] of places) {
    const parsed = listenAddress.safeParse(text)
    if (!parsed.success || (parsed.data.port === 0 && parsed.data.socketPath === '')) continue
    const key = JSON.stringify(parsed.data)
    const other = seen.get(key)
    if (other === undefined) seen.set(key, renderPath(path))
    else document.report({ code: 'MR_CONFIG_DUPLICATE', message: `the same address as ${other}`, path })
  }
}

function checkService(
  document: ConfigDocument,
  catalog: PluginCatalog | undefined,
  service: Raw,
  path: ConfigPath,
): void {
  const seen = new Map<string, number>()
  asList(service.backends).forEach((backend, index) => {
    const isText = typeof backend === 'string'
    const parsed = backendUrl.safeParse(isText ? backend : asMap(backend).url)
    if (!parsed.success) return
    const first = seen.get(parsed.data.url)
    if (first === undefined) {
      seen.set(parsed.data.url, index)
      return
    }
    const at = [...path, 'backends', index, ...(isText ? [] : ['url'])]
    const message = `the same backend as ${renderPath([...path, 'backends', first])}`
    document.report({
      code: 'MR_CONFIG_DUPLICATE',
      message,
      path: at,
      suggestion: 'give one entry a higher weight',
    })
  })
  if (catalog === undefined) return
  checkUse(document, catalog, 'algorithm', service.algorithm, [...path, 'algorithm'])
  checkUse(document, catalog, 'circuit-breaker', service.breaker, [...path, 'breaker'])
  checkUse(document, catalog, 'health-source', service.health, [...path, 'health'])
}

function checkFallback(document: ConfigDocument, service: Raw, name: string, names: readonly string[]): void {
  const other = asMap(asMap(service.breaker).fallback).service
  const path = ['services', name, 'breaker', 'fallback', 'service']
  if (other === name) {
    const message = 'a service cannot be its own fallback'
    document.report({ code: 'MR_CONFIG_REFERENCE', message, path })
  } else if (typeof other === 'string') checkServiceNames(document, other, path, names)
}

function checkFilterList(
  document: ConfigDocument,
  catalog: PluginCatalog | undefined,
  list: unknown,
  path: ConfigPath,
  services: readonly string[],
): void {
  const ids = new Set<string>()
  asList(list).forEach((use, index) => {
    const at = [...path, index]
    if (catalog !== undefined) {
      checkUse(document, catalog, 'filter', use, at)
      checkReferences(document, catalog, use, at, services)
    }
    const { id } = asMap(use)
    if (typeof id !== 'string' || useName(use) === undefined) return
    if (ids.has(id)) {
      const message = `the id ${document.show([...at, 'id'], id)} stands twice in this list`
      document.report({ code: 'MR_CONFIG_DUPLICATE', message, path: [...at, 'id'] })
    }
    ids.add(id)
  })
}

/** Options that name services: those of `sendTo` and `mirror`, which would fail request by request. */
function checkReferences(
  document: ConfigDocument,
  catalog: PluginCatalog,
  use: unknown,
  path: ConfigPath,
  services: readonly string[],
): void {
  const name = useName(use)
  if (name === undefined || !catalog.names('filter').includes(name)) return
  for (const key of namesServices(catalog.jsonSchema('filter', name)))
    checkServiceName(document, asMap(use)[key], [...path, key], services)
}

function checkServiceName(
  document: ConfigDocument,
  name: unknown,
  path: ConfigPath,
  names: readonly string[],
): void {
  if (typeof name !== 'string' || names.includes(name)) return
  const near = closest(name, names)
  const all = names.length === 0 ? 'there are no services' : `services are ${names.slice(0, 20).join(', ')}`
  document.report({
    code: 'MR_CONFIG_REFERENCE',
    message: `no service is called ${document.show(path, name)}`,
    path,
    suggestion: near === undefined ? all : `did you mean ${JSON.stringify(near)}?`,
  })
}

function checkServiceNames(
  document: ConfigDocument,
  value: unknown,
  path: ConfigPath,
  names: readonly string[],
): void {
  const refer = (name: unknown, at: ConfigPath) => checkServiceName(document, name, at, names)
  if (typeof value === 'string') refer(value, path)
  const seen = new Set<unknown>()
  asList(value).forEach((entry, index) => {
    const at = [...path, index, 'service']
    const name = asMap(entry).service
    refer(name, at)
    if (typeof name === 'string' && seen.has(name)) {
      const message = `${document.show(at, name)} stands twice in this split`
      document.report({
        code: 'MR_CONFIG_DUPLICATE',
        message,
        path: at,
        suggestion: 'give one entry the whole weight',
      })
    }
    seen.add(name)
  })
}
