/** A snapshot as one data thread runs it. Exchanges hold it from their first byte to their last. */
import type { LimitsConfig, RouteConfig } from '../config/snapshot.ts'
import { hostName } from '../http1/target.ts'
import type { Exchange } from './exchange.ts'
import type { FilterChain, FilterStep } from './filter-chain.ts'
import { chooseService, Router, type RouteTable } from './router.ts'
import type { ServiceRuntime } from './service-runtime.ts'
import type { ThreadSnapshot } from './thread-snapshot.ts'
import { TrustedProxies } from './trusted.ts'

/** A route with its services and filters at hand. The router gives back these objects. */
export class RouteRuntime implements RouteConfig {
  readonly name: string
  readonly host: string | undefined
  readonly path: string | undefined
  readonly methods: readonly string[] | undefined
  readonly headers: RouteConfig['headers']
  readonly services: RouteConfig['services']
  readonly filters: RouteConfig['filters']
  readonly listener: string | undefined
  /** Set where there is nothing to choose. */
  readonly single: ServiceRuntime | undefined
  /** The chain of `single`: what nearly every request takes. */
  readonly #singleChain: FilterChain | undefined
  readonly #services: ReadonlyMap<string, ServiceRuntime>
  readonly #chains = new Map<ServiceRuntime, FilterChain | undefined>()
  readonly #before: readonly FilterStep[]

  /** @param before filters of the top level and of this route */
  constructor(
    config: RouteConfig,
    services: ReadonlyMap<string, ServiceRuntime>,
    before: readonly FilterStep[],
  ) {
    this.name = config.name
    this.host = config.host
    this.path = config.path
    this.methods = config.methods
    this.headers = config.headers
    this.services = config.services
    this.filters = config.filters
    this.listener = config.listener
    this.#services = services
    this.#before = before
    this.single = config.services.length === 1 ? services.get(config.services[0].service) : undefined
    for (const { service } of config.services) this.#build(services.get(service)!)
    this.#singleChain = this.single && this.#chains.get(this.single)
  }

  choose(random: () => number): ServiceRuntime {
    return this.#services.get(chooseService(this, random))!
  }

  // HOT
  chain(service: ServiceRuntime): FilterChain | undefined {
    if (service === this.single) return this.#singleChain
    return this.#chains.has(service) ? this.#chains.get(service) : this.#build(service)
  }

  #build(service: ServiceRuntime): FilterChain | undefined {
    const chain = [...this.#before, ...service.filters]
    this.#chains.set(service, chain.length > 0 ? chain : undefined)
    return this.#chains.get(service)
  }
}

export class Runtime {
  readonly revision: number
  readonly limits: LimitsConfig
  readonly trusted: TrustedProxies
  readonly services: ReadonlyMap<string, ServiceRuntime>
  readonly accessLog: boolean
  readonly #tables = new Map<string, RouteTable>()
  readonly #router: Router
  readonly #readHeader: (name: string) => string | undefined
  #matching: Exchange | undefined = undefined
  /** Exchanges that hold it. */
  exchanges = 0
  retired = false
  /** Called once, when it is retired and nothing holds it any more. */
  onReleased: (() => void) | undefined = undefined
  #lastHost = ''
  #lastName = ''

  constructor(
    snapshot: ThreadSnapshot,
    services: ReadonlyMap<string, ServiceRuntime>,
    routes: readonly RouteRuntime[],
  ) {
    this.revision = snapshot.revision
    this.limits = snapshot.limits
    this.trusted = new TrustedProxies(snapshot.trustedProxies)
    this.services = services
    this.accessLog = snapshot.accessLog.enabled
    const own = snapshot.listeners.filter((listener) => listener.ownRoutes).map((listener) => listener.name)
    this.#router = new Router(routes, own)
    this.#readHeader = (name) => this.#matching!.head.get(name)
  }

  // HOT
  match(exchange: Exchange): RouteRuntime | undefined {
    const listener = exchange.client.listener
    let table = this.#tables.get(listener)
    if (table === undefined) {
      table = this.#router.table(listener)
      this.#tables.set(listener, table)
    }
    // Requests in a row mostly name one host.
    if (exchange.host !== this.#lastHost) {
      this.#lastHost = exchange.host
      this.#lastName = hostName(exchange.host)
    }
    this.#matching = exchange
    return table.match(this.#lastName, exchange.target, exchange.method, this.#readHeader) as
      | RouteRuntime
      | undefined
  }

  retire(): void {
    this.retired = true
    if (this.exchanges === 0) this.release()
  }

  release(): void {
    const released = this.onReleased
    this.onReleased = undefined
    released?.()
  }
}
