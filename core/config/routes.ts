/** Routes in their normal form. */

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

/** `GET,HEAD shop.example.com/api [x-user=1]`; a route that matches everything is `*`. */
export function renderMatch(match: RouteMatch, listener: string | undefined): string {
  const methods = match.methods === undefined ? '' : `${match.methods.join(',')} `
  const headers = match.headers.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`))
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
