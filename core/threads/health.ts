/**
 * Health sources: one instance per service, on the main thread. They report raw results; here these become availability
 * in the shared table (`health-state.ts`). An unchanged service keeps its instance and what is known of its backends.
 */
import { isDeepStrictEqual } from 'node:util'
import type { HealthUse, ServiceConfig } from '../config/snapshot.ts'
import type { HealthContext, HealthTarget } from '../contracts/health-source.ts'
import type { Clock, Log, Metrics } from '../contracts/plugin.ts'
import { createInstance } from '../host/instance.ts'
import { type MainUse, type MainUses, startMainUse } from '../host/main-use.ts'
import type { PluginRegistry } from '../host/registry.ts'
import type { PlacedService } from '../proxy/thread-snapshot.ts'
import { type BackendHealth, HealthStates } from './health-state.ts'
import { backendId } from './placement.ts'
import type { StallWatch } from './stall-watch.ts'
import type { SharedTable } from './table.ts'

export interface HealthDeps {
  readonly clock: Clock
  random(): number
  readonly log: Log
  readonly table: SharedTable
  readonly stalls: StallWatch
  metrics(id: string, plugin: string): Metrics
  /** A source threw, and it was logged. */
  fault?(plugin: string, hook: string, error: Error): void
  /** Absent: sources are not made anew where their code throws outside of any hook. */
  readonly uses?: MainUses
  /** False: somebody else probes, and no source is made. */
  readonly enabled: boolean
}

type Source = {
  readonly use: HealthUse
  readonly tls: ServiceConfig['tls']
  readonly plugin: MainUse<'health-source'>
  /** Results count only while this is the source of its service. */
  live: boolean
}

/** What a snapshot will change, made before it is committed. */
export interface PreparedHealth {
  readonly services: ReadonlyMap<string, PlacedService>
  /** New instances; services not named keep theirs or have none. */
  readonly fresh: ReadonlyMap<string, Source>
}

export class HealthRunner {
  readonly #deps: HealthDeps
  readonly #sources = new Map<string, Source>()
  readonly #states: HealthStates
  #services: ReadonlyMap<string, PlacedService> = new Map()

  constructor(deps: HealthDeps) {
    this.#deps = deps
    this.#states = new HealthStates(deps.table, deps.clock, deps.log)
  }

  /**
   * Makes the instances that the services need and that are not there.
   * @param directory what relative paths of their options are taken from; absent: the working directory
   * @throws MR_PLUGIN_* when one cannot be made; nothing is left behind then
   */
  async prepare(
    services: ReadonlyMap<string, PlacedService>,
    registry: PluginRegistry,
    directory?: string,
  ): Promise<PreparedHealth> {
    if (!this.#deps.enabled) return { services: new Map(), fresh: new Map() }
    const fresh = new Map<string, Source>()
    try {
      for (const [name, { config }] of services) {
        if (config.health && !this.#keeps(name, config.health, registry)) {
          fresh.set(name, await this.#create(config, config.health, registry, directory))
        }
      }
    } catch (error) {
      await this.discard({ services, fresh })
      throw error
    }
    return { services, fresh }
  }

  async discard(prepared: PreparedHealth): Promise<void> {
    await Promise.all([...prepared.fresh.values()].map((source) => this.#stop(source)))
  }

  /** Sets the state of new backends in the table; before any thread can pick them. */
  place(prepared: PreparedHealth, freshSlots: ReadonlySet<number>): void {
    this.#states.place(prepared.services, freshSlots)
  }

  /** Switches to what was prepared. Old instances are stopped beside this. */
  commit(prepared: PreparedHealth): void {
    for (const [name, source] of this.#sources) {
      if (prepared.services.get(name)?.config.health && !prepared.fresh.has(name)) continue
      this.#sources.delete(name)
      void this.#stop(source)
    }
    const before = this.#services
    this.#services = prepared.services
    this.#states.commit(prepared.services)
    for (const [name, source] of prepared.fresh) {
      this.#sources.set(name, source)
      source.live = true
    }
    for (const [name, source] of this.#sources) {
      const placed = prepared.services.get(name)!
      const old = before.get(name)
      const same = old && !prepared.fresh.has(name) && sameTargets(old.config, placed.config)
      if (!same) this.#update(source, placed.config)
    }
  }

  /** What is known of a backend. */
  state(id: string): BackendHealth | undefined {
    return this.#states.get(id)
  }

  async stop(): Promise<void> {
    const sources = [...this.#sources.values()]
    this.#sources.clear()
    await Promise.all(sources.map((source) => this.#stop(source)))
  }

  /** `rise`, `fall` and `initial` are the core's and need no new instance. */
  #keeps(name: string, use: HealthUse, registry: PluginRegistry): boolean {
    const source = this.#sources.get(name)
    if (!source) return false
    const before = source.use
    return (
      before.use === use.use &&
      source.plugin.loaded.hash === registry.find('health-source', use.use).hash &&
      before.intervalMs === use.intervalMs &&
      before.timeoutMs === use.timeoutMs &&
      isDeepStrictEqual(before.options, use.options)
    )
  }

  async #create(
    config: ServiceConfig,
    use: HealthUse,
    registry: PluginRegistry,
    directory: string | undefined,
  ): Promise<Source> {
    const id = `service/${config.name}/health`
    const { clock, random, log, uses } = this.#deps
    const loaded = registry.find('health-source', use.use)
    const source: { -readonly [K in keyof Source]?: Source[K] } & { live: boolean } = { live: false }
    source.use = use
    source.tls = config.tls
    source.plugin = await startMainUse<'health-source'>({
      ...{ loaded, id, clock, log, uses },
      make: (isCurrent) => {
        const isHeard = (): boolean => source.live && isCurrent()
        return createInstance(loaded, 'health-source', use.options, {
          id,
          path: use.path,
          directory,
          clock,
          random,
          log,
          metrics: this.#deps.metrics(id, use.use),
          onFault: (error) => this.#deps.fault?.(use.use, error.hook ?? 'timer', error),
          intervalMs: use.intervalMs,
          timeoutMs: use.timeoutMs,
          store: undefined,
          report: this.#report(config.name, isHeard, false),
          set: this.#report(config.name, isHeard, true),
        })
      },
      // One that was made anew learns what to watch. What is known of the backends stays meanwhile.
      changed: (_instance, plugin) => {
        const placed = this.#services.get(config.name)
        if (source.live && placed) this.#update({ use, plugin }, placed.config)
      },
    })
    return source as Source
  }

  #report(service: string, isHeard: () => boolean, authoritative: boolean): HealthContext['report'] {
    return (target, result) => {
      if (!isHeard()) return
      // A late result says that this process was busy, not that the backend was.
      if (!authoritative && this.#deps.stalls.recent()) return
      this.#states.report(service, target, result, authoritative)
    }
  }

  /** Where there is no instance now, the next one is told. */
  #update({ plugin, use }: Pick<Source, 'plugin' | 'use'>, config: ServiceConfig): void {
    try {
      plugin.inside(() => plugin.instance?.update(targetsOf(config)))
    } catch (error) {
      const service = config.name
      this.#deps.fault?.(use.use, 'update', error as Error)
      this.#deps.log.error('health source threw in update', { plugin: use.use, service, error })
    }
  }

  async #stop(source: Source): Promise<void> {
    source.live = false
    await source.plugin.stop().catch((error: unknown) => {
      this.#deps.log.error('health source did not stop', { plugin: source.use.use, error })
    })
  }
}

function targetsOf(config: ServiceConfig): HealthTarget[] {
  return config.backends.map((backend) => ({
    id: backendId(config.name, backend.url),
    service: config.name,
    url: backend.url,
    weight: backend.weight,
    zone: backend.zone,
    tags: backend.tags,
    tls: backend.protocol === 'https' ? config.tls : undefined,
  }))
}

function sameTargets(before: ServiceConfig, after: ServiceConfig): boolean {
  return (
    before === after ||
    (isDeepStrictEqual(before.backends, after.backends) && isDeepStrictEqual(before.tls, after.tls))
  )
}
