/** Routes have no order, so no two of them may match alike. */
import { canonical } from './canonical.ts'
import type { ConfigDocument } from './document.ts'
import { type ConfigPath, renderPath } from './problems.ts'
import { type RouteMatch, renderMatch, routeMatch } from './routes.ts'
import { matchSchema } from './schema.ts'

interface Seen {
  readonly match: RouteMatch
  readonly path: ConfigPath
}

interface Named {
  readonly place: string
  /** Written in the config, not made from the match. */
  readonly isGiven: boolean
}

/** Finds equal matches within each list, and names that stand twice in all of them. */
export function checkRoutes(
  document: ConfigDocument,
  lists: readonly (readonly [routes: readonly unknown[], path: ConfigPath])[],
): void {
  const names = new Map<string, Named>()
  for (const [routes, path] of lists) {
    const groups = new Map<string, Seen[]>()
    routes.forEach((route, index) => {
      const at = [...path, index]
      checkRoute(document, route, at, groups)
      checkName(document, route, at, names, path.length > 1 ? String(path[1]) : undefined)
    })
  }
}

function parseMatch(route: unknown): RouteMatch | undefined {
  if (typeof route !== 'object' || route === null) return undefined
  const parsed = matchSchema.safeParse(('match' in route ? route.match : undefined) ?? {})
  return parsed.success ? routeMatch(parsed.data) : undefined
}

function checkRoute(
  document: ConfigDocument,
  route: unknown,
  path: ConfigPath,
  groups: Map<string, Seen[]>,
): void {
  const match = parseMatch(route)
  if (match === undefined) return
  const group = canonical([match.host, match.path])
  const others = groups.get(group) ?? []
  groups.set(group, [...others, { match, path }])
  const at = typeof route === 'object' && route !== null && 'match' in route ? [...path, 'match'] : path
  const equal = others.find((other) => sameMethods(other.match, match) && sameHeaders(other.match, match))
  if (equal !== undefined) {
    document.report({
      code: 'MR_CONFIG_DUPLICATE',
      message: `matches the same requests as ${renderPath(equal.path)} (${renderMatch(match, undefined)}), and routes have no order`,
      path: at,
      suggestion: 'change one match, or split one route between services',
    })
    return
  }
  const rival = others.find((other) => sameMethods(other.match, match) && rivalHeaders(other.match, match))
  if (rival === undefined) return
  const message = `a request can match this and ${renderPath(rival.path)} equally well`
  document.warn({ code: 'MR_CONFIG_DUPLICATE', message, path: at })
}

/** Both name methods and share one, or both name none: one is not more specific than the other. */
function sameMethods(a: RouteMatch, b: RouteMatch): boolean {
  if (a.methods === undefined || b.methods === undefined) return a.methods === b.methods
  return a.methods.some((method) => b.methods?.includes(method))
}

function sameHeaders(a: RouteMatch, b: RouteMatch): boolean {
  return canonical(a.headers) === canonical(b.headers)
}

/** As many conditions, other ones, and none that rules the other out. */
function rivalHeaders(a: RouteMatch, b: RouteMatch): boolean {
  if (a.headers.length !== b.headers.length || a.headers.length === 0) return false
  return !a.headers.some(({ name, value }) => {
    const other = b.headers.find((condition) => condition.name === name)
    return other !== undefined && value !== undefined && other.value !== undefined && other.value !== value
  })
}

function checkName(
  document: ConfigDocument,
  route: unknown,
  path: ConfigPath,
  names: Map<string, Named>,
  listener: string | undefined,
): void {
  const given = typeof route === 'object' && route !== null && 'name' in route ? route.name : undefined
  const match = parseMatch(route)
  const name = typeof given === 'string' ? given : match && renderMatch(match, listener)
  if (name === undefined) return
  const isGiven = typeof given === 'string'
  const other = names.get(name)
  if (other === undefined) names.set(name, { place: renderPath(path), isGiven })
  else if (isGiven || other.isGiven)
    document.report({
      code: 'MR_CONFIG_DUPLICATE',
      message: `the name of ${other.place}`,
      path: isGiven ? [...path, 'name'] : path,
    })
}
