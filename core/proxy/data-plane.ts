/**
 * The part of a data thread that carries traffic: turns snapshots into running services, routes and listeners, in two
 * phases, and holds what lives longer than a snapshot.
 */
import type { ListenerConfig } from '../config/snapshot.ts'
import type { PluginInstance } from '../host/instance.ts'
import type { Plane, PlaneDeps } from '../threads/plane.ts'
import { type InstanceDraft, Instances } from './instances.ts'
import { Listener, type ListenerDeps } from './listener.ts'
import { Pace } from './pace.ts'
import { PlaneContext } from './plane-context.ts'
import { RouteRuntime, Runtime } from './runtime.ts'
import { ServiceBuilder } from './service-builder.ts'
import type { HttpBackend, ServiceRuntime } from './service-runtime.ts'
import type { ThreadSnapshot } from './thread-snapshot.ts'
import type { TlsContexts } from './tls-contexts.ts'

/** What `prepare` made; not yet in use. */
interface Prepared {
  readonly snapshot: ThreadSnapshot
  readonly runtime: Runtime
  readonly draft: InstanceDraft
  readonly opened: readonly Listener[]
  /** Listeners that stay, with what changes on them. */
  readonly kept: readonly { listener: Listener; config: ListenerConfig; contexts: TlsContexts | undefined }[]
}

export class DataPlane implements Plane<Prepared> {
  readonly #plane: PlaneContext
  readonly #builder: ServiceBuilder
  readonly #instances: Instances
  readonly #listenerDeps: ListenerDeps
  #listeners: Listener[] = []
  /** Closed for new connections; some of their clients are still there. */
  #closing: Listener[] = []
  #retired: Runtime[] = []
  /** Backends that no snapshot names any more, while connections of theirs are open. */
  #leaving: { backend: HttpBackend; revision: number }[] = []

  constructor(deps: PlaneDeps) {
    this.#plane = new PlaneContext(deps)
    this.#builder = new ServiceBuilder(deps, this.#plane)
    this.#instances = new Instances(deps)
    this.#listenerDeps = {
      plane: this.#plane,
      table: deps.table,
      thread: deps.thread,
      ticketKeys: deps.ticketKeys,
    }
  }

  async prepare(snapshot: ThreadSnapshot): Promise<Prepared> {
    const draft = this.#instances.draft(snapshot.directory)
    const opened: Listener[] = []
    try {
      const runtime = await this.#buildRuntime(snapshot, draft)
      const kept: { listener: Listener; config: ListenerConfig; contexts: TlsContexts | undefined }[] = []
      for (const config of snapshot.listeners) {
        const running = this.#listeners.find((listener) => sameAddress(listener.config, config))
        if (running) kept.push({ listener: running, config, contexts: running.checkTls(config) })
        else
          opened.push(
            await Listener.open(
              config,
              snapshot.ports[config.name] ?? config.port,
              this.#listenerDeps,
              snapshot.limits,
            ),
          )
      }
      return { snapshot, runtime, draft, opened, kept }
    } catch (error) {
      for (const listener of opened) await listener.close()
      await draft.discard()
      throw error
    }
  }

  async #buildRuntime(snapshot: ThreadSnapshot, draft: InstanceDraft): Promise<Runtime> {
    const running: ReadonlyMap<string, ServiceRuntime> = this.#plane.runtime?.services ?? new Map()
    const services = new Map<string, ServiceRuntime>()
    const pace = new Pace(this.#plane.now)
    for (const [name, placed] of snapshot.services) {
      const former = running.get(name)
      // Also where the config is the same the plugins may not be: an instance is kept only with its code.
      services.set(name, await this.#builder.build(placed, former, draft, pace))
    }
    const top = await this.#builder.filters(snapshot.filters, 'filter', draft)
    const routes: RouteRuntime[] = []
    for (const route of snapshot.routes) {
      const prefix = `route/${route.listener ?? ''}/${route.name}/filter`
      const own = await this.#builder.filters(route.filters, prefix, draft)
      routes.push(new RouteRuntime(route, services, [...top, ...own]))
    }
    return new Runtime(snapshot, services, routes)
  }

  commit({ snapshot, runtime, draft, opened, kept }: Prepared): void {
    const former = this.#plane.runtime as Runtime | undefined
    const over = this.#instances.commit(draft)
    this.#plane.setFieldLimit(snapshot.limits.fields)
    this.#plane.runtime = runtime
    for (const [name, service] of runtime.services) {
      const before = former?.services.get(name)
      this.#builder.activate(service, before)
      if (before) this.#leave(before, service, former!.revision)
    }
    for (const [name, service] of former?.services ?? []) {
      if (!runtime.services.has(name)) this.#leave(service, undefined, former!.revision)
    }
    for (const { listener, config, contexts } of kept) listener.update(config, contexts)
    const stay = new Set(kept.map(({ listener }) => listener))
    const gone = this.#listeners.filter((listener) => !stay.has(listener))
    for (const listener of gone) {
      void listener.close()
      listener.closeIdle()
    }
    this.#closing.push(...gone)
    this.#listeners = [...stay, ...opened]
    for (const listener of opened) listener.start()
    if (former) this.#retire(former, over)
    void settleIn(runtime, new Pace(this.#plane.now))
  }

  /** Backends of a former version that the new one does not have. */
  #leave(before: ServiceRuntime, now: ServiceRuntime | undefined, revision: number): void {
    const staying = new Set(now?.backends)
    for (const backend of before.backends) {
      if (staying.has(backend)) continue
      backend.pool.retire()
      this.#leaving.push({ backend, revision })
    }
  }

  #retire(former: Runtime, over: readonly PluginInstance[]): void {
    this.#retired.push(former)
    former.onReleased = () => {
      this.#retired = this.#retired.filter((runtime) => runtime !== former)
      for (const plugin of over) void plugin.stop()
    }
    former.retire()
  }

  async discard({ opened, draft }: Prepared): Promise<void> {
    for (const listener of opened) await listener.close()
    await draft.discard()
  }

  startDrain(): void {
    this.#plane.draining = true
  }

  async closeListeners(): Promise<void> {
    this.#closing.push(...this.#listeners)
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()))
  }

  closeIdle(): void {
    for (const listener of [...this.#listeners, ...this.#closing]) listener.closeIdle()
  }

  get activeExchanges(): number {
    return this.#plane.activeExchanges
  }

  get clientConnections(): number {
    return [...this.#listeners, ...this.#closing].reduce((sum, listener) => sum + listener.clientCount, 0)
  }

  get oldestRevision(): number {
    this.#closing = this.#closing.filter((listener) => listener.clientCount > 0)
    this.#leaving = this.#leaving.filter(({ backend }) => {
      if (backend.pool.openCount > 0) return true
      backend.addresses.stop()
      return false
    })
    const revisions = [
      ...this.#retired.map((runtime) => runtime.revision),
      ...this.#leaving.map(({ revision }) => revision),
    ]
    return Math.min(this.#plane.runtime.revision, ...revisions)
  }

  destroy(): void {
    for (const listener of [...this.#listeners, ...this.#closing]) listener.destroy()
    for (const service of this.#plane.runtime?.services.values() ?? []) {
      for (const backend of service.backends) {
        backend.pool.destroy()
        backend.addresses.stop()
      }
    }
    for (const { backend } of this.#leaving) {
      backend.pool.destroy()
      backend.addresses.stop()
    }
    for (const plugin of this.#instances.all()) void plugin.stop()
    this.#plane.wheel.stop()
  }
}

/** Makes the views of all services, for as long as requests wait for nothing; who is asked before makes its own. */
async function settleIn({ services }: Runtime, pace: Pace): Promise<void> {
  for (const service of services.values()) {
    if (pace.isOver()) await pace.nextTurn()
    service.settleIn()
  }
}

/** A listener keeps its socket while its address and its way of unwrapping stay. */
function sameAddress(a: ListenerConfig, b: ListenerConfig): boolean {
  return (
    a.name === b.name &&
    a.host === b.host &&
    a.port === b.port &&
    a.socketPath === b.socketPath &&
    (a.tls === undefined) === (b.tls === undefined)
  )
}
