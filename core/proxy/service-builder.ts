/** Makes a service ready for use beside the one that is running, and puts it in its place. */
import type { FilterUse, ServiceConfig } from '../config/snapshot.ts'
import type { Backend } from '../contracts/algorithm.ts'
import type { CircuitBreaker } from '../contracts/circuit-breaker.ts'
import type { PlaneDeps } from '../threads/plane.ts'
import { BackendState } from '../upstream/backend.ts'
import { Pool } from '../upstream/pool.ts'
import { AddressBook, systemLookup } from '../upstream/resolve.ts'
import { backendTlsOptions } from '../upstream/tls.ts'
import type { FilterStep } from './filter-chain.ts'
import { Http1Upstream } from './http1-upstream.ts'
import type { InstanceDraft } from './instances.ts'
import type { Pace } from './pace.ts'
import type { PlaneContext } from './plane-context.ts'
import { ServiceQueue } from './service-queue.ts'
import { type HttpBackend, ServiceRuntime } from './service-runtime.ts'
import type { PlacedService } from './thread-snapshot.ts'
import { tryUpdate } from './trial-view.ts'

const breakerHooks: ReadonlySet<string> = new Set(['for', 'tryAcquire', 'settle'])
const states = { closed: 0, open: 1, 'half-open': 2 } as const
/** First resolution of a backend's name may take this long; the service starts without it then. */
const firstLookupMs = 2000

export class ServiceBuilder {
  readonly #deps: PlaneDeps
  readonly #plane: PlaneContext

  constructor(deps: PlaneDeps, plane: PlaneContext) {
    this.#deps = deps
    this.#plane = plane
  }

  async filters(uses: readonly FilterUse[], prefix: string, draft: InstanceDraft): Promise<FilterStep[]> {
    const steps: FilterStep[] = []
    for (const use of uses) {
      const { instance } = await draft.get('filter', `${prefix}/${use.id}`, use)
      steps.push({ filter: instance, use })
    }
    return steps
  }

  /** @param former the running version, whose backends and queue are taken over */
  async build(
    placed: PlacedService,
    former: ServiceRuntime | undefined,
    draft: InstanceDraft,
    pace: Pace,
  ): Promise<ServiceRuntime> {
    const { config, placement } = placed
    const prefix = `service/${config.name}`
    const algorithm = await draft.get('algorithm', `${prefix}/algorithm`, config.algorithm)
    let breaker: CircuitBreaker | undefined
    if (config.breaker)
      breaker = (await draft.get('circuit-breaker', `${prefix}/breaker`, config.breaker)).instance
    const filters = await this.filters(config.filters, `${prefix}/filter`, draft)
    const sameIndex = former?.index === placement.index
    const queue = sameIndex
      ? former.queue
      : new ServiceQueue(this.#deps.table.queued[this.#deps.thread], placement.index)
    const bySlot = new Map(former?.backends.map((backend) => [backend.slot, backend]))
    const backends: HttpBackend[] = []
    for (let i = 0; i < config.backends.length; i++) {
      // Not for each: a look at the clock takes as long as to make one.
      if (i % 16 === 0 && pace.isOver()) await pace.nextTurn()
      const slot = placement.slots[i]
      const known = bySlot.get(slot)
      const same = known?.url === config.backends[i].url
      backends.push(same ? known : this.#backend(config, i, slot, queue))
    }
    // Built-ins are tested, and tables large: only what a user has written is tried.
    const made = draft.held.get(`${prefix}/algorithm`)?.plugin
    if (algorithm.fresh && made && made.loaded.source !== 'built-in')
      tryUpdate(made, algorithm.instance, { backends, table: placement.table })
    await this.#resolve(backends)
    return new ServiceRuntime({
      placed,
      table: this.#deps.table,
      thread: this.#deps.thread,
      zone: this.#deps.zone ?? '',
      now: this.#plane.now,
      random: this.#plane.random,
      backends,
      filters,
      queue,
      algorithm: algorithm.instance,
      breaker,
      onFault: this.#faultOf(config),
    })
  }

  /** Made apart from `build`: a closure in there would hold the former version, and that one its own, for ever. */
  #faultOf(config: ServiceConfig): ServiceRuntime['onFault'] {
    return (backend, hook, error) => {
      const ofBreaker = breakerHooks.has(hook ?? '')
      const plugin = (ofBreaker && config.breaker?.use) || config.algorithm.use
      const cause = error instanceof Error ? error.stack : error
      this.#deps.pluginFault({
        kind: ofBreaker ? 'circuit-breaker' : 'algorithm',
        plugin,
        hook: hook ?? 'pick',
        level: 'warn',
        message: hook ? `${plugin} failed in ${hook}` : `algorithm ${plugin} ${wrongPick(backend)}`,
        fields: {
          ...{
            code: 'MR_PLUGIN_FAULT',
            plugin,
            hook: hook ?? 'pick',
            path: ofBreaker ? config.breaker?.path : config.algorithm.path,
          },
          ...{ service: config.name, backend: backend?.url, cause },
        },
      })
    }
  }

  #backend(config: ServiceConfig, i: number, slot: number, queue: ServiceQueue): HttpBackend {
    const { table, thread } = this.#deps
    const { host } = config.backends[i]
    const addresses = new AddressBook(host, this.#deps.clock, systemLookup)
    const backend: HttpBackend = new BackendState(config.name, config.backends[i], slot, addresses)
    const owner = { open: () => this.#open(backend), onPlace: (shared: boolean) => queue.pump(shared) }
    backend.pool = new Pool(owner, { max: 1, idleMs: 0 }, table.open[thread], table.idle[thread], slot)
    return backend
  }

  #open(backend: HttpBackend): Http1Upstream {
    const { host, port, socketPath } = backend.config
    // A name without an address yet is left to the socket, which then says what is wrong.
    const address = backend.addresses.take() ?? host
    return new Http1Upstream(
      backend,
      { socketPath, address, port, tls: backend.tls },
      backend.connectMs,
      this.#plane,
    )
  }

  async #resolve(backends: readonly HttpBackend[]): Promise<void> {
    const names = backends.filter(({ addresses }) => addresses.awaited)
    if (names.length === 0) return
    const { clock } = this.#deps
    let timer: { cancel(): void } | undefined
    const late = new Promise<void>((resolve) => {
      timer = clock.after(firstLookupMs, resolve)
    })
    await Promise.race([Promise.all(names.map((backend) => backend.addresses.start())), late])
    timer?.cancel()
  }

  /** The service becomes the running one; its view is yet to be made. Synchronous. */
  activate(service: ServiceRuntime, former: ServiceRuntime | undefined): void {
    const { config } = service
    const { connections, timeouts } = config
    const max = Math.max(1, Math.floor(connections.max / this.#deps.threads))
    const sameBreaker = former?.breaker !== undefined && former.breaker === service.breaker
    const before = new Set(former?.backends)
    const tlsDiffers = former !== undefined && tlsChanged(former.config, config)
    service.backends.forEach((backend, i) => {
      const known = before.has(backend)
      const reconnect = known && tlsDiffers
      backend.update(config.backends[i])
      // Only now: what was prepared may be discarded, and must leave no timer behind.
      backend.addresses.follow()
      backend.pool.settings = { max, idleMs: connections.idleMs }
      backend.connectMs = timeouts.connectMs
      backend.pipelining = backend.refusesPipelining ? 1 : connections.pipelining
      if (!known || reconnect) backend.tls = backendTlsOptions(config.backends[i], config.tls)
      if (reconnect) backend.pool.renew()
      if (!known || !sameBreaker) this.#attachBreaker(service, backend)
    })
    if (former && former !== service) service.succeed(former)
    service.begin(former === undefined)
  }

  #attachBreaker(service: ServiceRuntime, backend: HttpBackend): void {
    const { table } = this.#deps
    if (service.breaker === undefined) {
      backend.breaker = undefined
      table.breaker[backend.slot] = 0
      return
    }
    try {
      const gate = service.breaker.for(backend, () => {
        table.breaker[backend.slot] = states[gate.state]
      })
      backend.breaker = gate
      table.breaker[backend.slot] = states[gate.state]
    } catch (error) {
      // Half a commit would be worse than a backend without its breaker.
      backend.breaker = undefined
      service.onFault(backend, 'for', error)
    }
  }
}

const wrongPick = (backend: Backend | undefined): string =>
  backend === undefined
    ? 'picked nothing although a backend was left'
    : `picked what it must not: ${backend.url} is unavailable, or was excluded`

function tlsChanged(a: ServiceConfig, b: ServiceConfig): boolean {
  return JSON.stringify(a.tls) !== JSON.stringify(b.tls)
}
