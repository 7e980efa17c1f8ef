/**
 * Finds the route of a request. Precedence: exact host, then the longest wildcard, then any; within a host the longest
 * path, then routes with a method, then the most header conditions. A route that does not match in the end gives way to
 * the next in that order. Built once per snapshot; a match allocates nothing and its cost does not grow with the routes.
 */
import type { RouteConfig } from '../config/snapshot.ts'

/** Reads a request header by its lower-case name. */
export type HeaderReader = (lowerName: string) => string | undefined

/** FNV-1a, one step. */
const step = (hash: number, code: number): number => Math.imul(hash ^ code, 16777619)
/** Keys must be small integers: a boxed number would be allocated at each look-up. */
const smi = (hash: number): number => hash & 0x3fffffff
const seed = 0x811c9dc5 | 0

const dot = 46
const slash = 47
const question = 63

/** All routes of one host with one path, and the next shorter path that is a prefix of it. */
interface PathNode {
  readonly path: string
  readonly routes: RouteConfig[]
  parent: PathNode | undefined
  /** Next node with the same hash. */
  readonly collision: PathNode | undefined
}

function routeMatches(route: RouteConfig, method: string, header: HeaderReader): boolean {
  const methods = route.methods
  if (methods !== undefined && !methods.includes(method)) return false
  const headers = route.headers
  for (let i = 0; i < headers.length; i++) {
    const value = header(headers[i].name)
    if (value === undefined) return false
    if (headers[i].value !== undefined && headers[i].value !== value) return false
  }
  return true
}

function hashPath(path: string): number {
  let hash = seed
  for (let i = 0; i < path.length; i++) hash = step(hash, path.charCodeAt(i))
  return smi(hash)
}

/** The routes of one host. */
class HostRoutes {
  readonly #nodes = new Map<number, PathNode>()
  readonly #root: PathNode = { path: '', routes: [], parent: undefined, collision: undefined }
  #longest = 0

  constructor(routes: readonly RouteConfig[]) {
    const byPath = new Map<string, RouteConfig[]>()
    for (const route of routes) {
      const list = byPath.get(route.path ?? '')
      if (list) list.push(route)
      else byPath.set(route.path ?? '', [route])
    }
    const nodes: PathNode[] = [this.#root]
    for (const [path, list] of [...byPath].sort(([a], [b]) => a.length - b.length)) {
      list.sort(
        (a, b) =>
          Number(b.methods !== undefined) - Number(a.methods !== undefined) ||
          b.headers.length - a.headers.length,
      )
      if (path === '') this.#root.routes.push(...list)
      else nodes.push(this.#insert(path, list))
    }
    this.#link(nodes)
  }

  #insert(path: string, routes: RouteConfig[]): PathNode {
    const key = hashPath(path)
    const node: PathNode = { path, routes, parent: this.#root, collision: this.#nodes.get(key) }
    this.#nodes.set(key, node)
    this.#longest = path.length
    return node
  }

  #link(nodes: readonly PathNode[]): void {
    for (const node of nodes) {
      if (node === this.#root) continue
      // The longest proper prefix is what the path's own text finds when the node itself is left out.
      node.parent = this.#deepest(node.path, node.path.length - 1)
    }
  }

  // HOT
  match(path: string, method: string, header: HeaderReader): RouteConfig | undefined {
    let node: PathNode | undefined = this.#longest === 0 ? this.#root : this.#deepest(path, this.#longest)
    for (; node !== undefined; node = node.parent) {
      for (let i = 0; i < node.routes.length; i++) {
        if (routeMatches(node.routes[i], method, header)) return node.routes[i]
      }
    }
    return undefined
  }

  // HOT
  /** The node with the longest path that covers `path` and is at most `limit` long. */
  #deepest(path: string, limit: number): PathNode {
    let found = this.#root
    let hash = seed
    let previous = 0
    for (let i = 0; i <= limit; i++) {
      const code = i < path.length ? path.charCodeAt(i) : question
      // A prefix ends before `/`, after `/`, or where the path ends: only there a look-up is worth it.
      if (i > 0 && (code === slash || code === question || previous === slash)) {
        let node = this.#nodes.get(smi(hash))
        while (node !== undefined && !(node.path.length === i && path.startsWith(node.path)))
          node = node.collision
        if (node !== undefined) found = node
      }
      if (code === question) break
      hash = step(hash, code)
      previous = code
    }
    return found
  }
}

/** A wildcard host, and the next shorter wildcard that also covers it. */
interface Wildcard {
  /** `.example.com` */
  readonly suffix: string
  readonly routes: HostRoutes
  readonly shorter: Wildcard | undefined
  readonly collision: Wildcard | undefined
}

/** The routes of one listener. */
export class RouteTable {
  readonly #exact = new Map<string, HostRoutes>()
  readonly #wildcards = new Map<number, Wildcard>()
  readonly #any: HostRoutes

  constructor(routes: readonly RouteConfig[]) {
    const byHost = Map.groupBy(routes, (route) => route.host ?? '*')
    this.#any = new HostRoutes(byHost.get('*') ?? [])
    byHost.delete('*')
    const hosts = [...byHost].sort(([a], [b]) => a.length - b.length)
    for (const [host, list] of hosts) {
      if (host.startsWith('*.')) this.#addWildcard(host.slice(1), new HostRoutes(list))
      else this.#exact.set(host, new HostRoutes(list))
    }
  }

  #addWildcard(suffix: string, routes: HostRoutes): void {
    let hash = seed
    for (let i = suffix.length - 1; i >= 0; i--) hash = step(hash, suffix.charCodeAt(i))
    const collision = this.#wildcards.get(smi(hash))
    // Shorter ones were added before: what the suffix itself finds is the next shorter one.
    this.#wildcards.set(smi(hash), { suffix, routes, shorter: this.#wildcard(suffix), collision })
  }

  // HOT
  match(host: string, path: string, method: string, header: HeaderReader): RouteConfig | undefined {
    if (this.#exact.size > 0) {
      const route = this.#exact.get(host)?.match(path, method, header)
      if (route !== undefined) return route
    }
    if (this.#wildcards.size > 0) {
      for (let wildcard = this.#wildcard(host); wildcard !== undefined; wildcard = wildcard.shorter) {
        const route = wildcard.routes.match(path, method, header)
        if (route !== undefined) return route
      }
    }
    return this.#any.match(path, method, header)
  }

  // HOT
  /** The longest wildcard with at least one character before its suffix. */
  #wildcard(host: string): Wildcard | undefined {
    let found: Wildcard | undefined
    let hash = seed
    for (let i = host.length - 1; i > 0; i--) {
      const code = host.charCodeAt(i)
      hash = step(hash, code)
      if (code !== dot) continue
      let entry = this.#wildcards.get(smi(hash))
      while (
        entry !== undefined &&
        !(entry.suffix.length === host.length - i && host.endsWith(entry.suffix))
      ) {
        entry = entry.collision
      }
      if (entry !== undefined) found = entry
    }
    return found
  }
}

export class Router {
  readonly #shared: RouteTable
  readonly #own = new Map<string, RouteTable>()

  /** @param ownRoutes names of listeners that never use the shared routes, even when they have none of their own */
  constructor(routes: readonly RouteConfig[], ownRoutes: readonly string[] = []) {
    for (const name of ownRoutes) this.#own.set(name, new RouteTable([]))
    const byListener = Map.groupBy(routes, (route) => route.listener)
    for (const [listener, list] of byListener) {
      if (listener !== undefined) this.#own.set(listener, new RouteTable(list))
    }
    this.#shared = new RouteTable(byListener.get(undefined) ?? [])
  }

  /** The routes that hold on a listener. */
  table(listener: string): RouteTable {
    return this.#own.get(listener) ?? this.#shared
  }

  // HOT
  /**
   * @param host lower case, without port
   * @param path as it stands in the request; a query is ignored
   */
  match(
    listener: string,
    host: string,
    path: string,
    method: string,
    header: HeaderReader,
  ): RouteConfig | undefined {
    return this.table(listener).match(host, path, method, header)
  }
}

// HOT
/**
 * The service of a route, by weight.
 * @param random uniform in [0, 1); called only where there is a choice
 */
export function chooseService(route: RouteConfig, random: () => number): string {
  const services = route.services
  if (services.length === 1) return services[0].service
  let total = 0
  for (let i = 0; i < services.length; i++) total += services[i].weight
  let point = random() * total
  for (let i = 0; i < services.length - 1; i++) {
    point -= services[i].weight
    if (point < 0) return services[i].service
  }
  return services[services.length - 1].service
}
