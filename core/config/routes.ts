/** Routes in their normal form. */
import { canonical } from './canonical.ts'
import type { RouteFile } from './schema.ts'
import type { FilterUse, RouteConfig } from './snapshot.ts'

export type RouteMatch = Pick<RouteConfig, 'host' | 'path' | 'methods' | 'headers'>

/** Sorted, so that equal matches are equal data. */
export function routeMatch(match: RouteFile['match']): RouteMatch {
  const methods =
    match.method === undefined ? undefined : Array.isArray(match.method) ? match.method : [match.method]
  const headers = Object.entries(match.headers ?? {}).map(([name, value]) => ({
    name: name.toLowerCase(),
    value: value === true ? undefined : value,
  }))
  return {
    host: match.host?.host,
    path: match.path?.path,
    methods: methods && [...new Set(methods.map(({ method }) => method))].sort(),
    headers: headers.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
  }
}

/** `GET,HEAD shop.example.com/api [x-user]`; a route that matches everything is `*`. Values of headers are left out: the name
 * stands in logs, and they may be secrets. */
export function renderMatch(match: RouteMatch, listener: string | undefined): string {
  const methods = match.methods === undefined ? '' : `${match.methods.join(',')} `
  const headers = match.headers.map(({ name }) => name)
  const conditions = headers.length === 0 ? '' : ` [${headers.join(', ')}]`
  return `${methods}${match.host ?? '*'}${match.path ?? ''}${conditions}${listener === undefined ? '' : ` @${listener}`}`
}

export function normalRoute(
  route: RouteFile,
  listener: string | undefined,
  filters: readonly FilterUse[],
): RouteConfig {
  const match = routeMatch(route.match)
  const services =
    typeof route.service === 'string' ? [{ service: route.service, weight: 1 }] : [...route.service]
  return { name: route.name ?? renderMatch(match, listener), ...match, services, filters, listener }
}

/** Numbers names that are alike because the values of headers are not in them. By the order of those values, so that a name
 * stays with its route wherever that stands in the file. */
export function distinctNames(routes: readonly RouteConfig[]): RouteConfig[] {
  const names = new Map<RouteConfig, string>()
  for (const [name, alike] of Map.groupBy(routes, (route) => route.name)) {
    const others = alike.toSorted(byHeaders).slice(1)
    others.forEach((route, index) => {
      names.set(route, `${name} #${index + 2}`)
    })
  }
  return routes.map((route) => ({ ...route, name: names.get(route) ?? route.name }))
}

function byHeaders(a: RouteConfig, b: RouteConfig): number {
  return canonical(a.headers) < canonical(b.headers) ? -1 : 1
}
