/** Puts together what the admin listener shows: readiness, live services, metrics. */
import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import type { Bootstrap } from '../config/snapshot.ts'
import type { SyncState } from '../config/sync/state.ts'
import { type AdminListener, startAdmin } from '../observe/admin.ts'
import type { MetricsSources, NodeState } from '../observe/family.ts'
import { MetricsExport } from '../observe/registry.ts'
import type { ServiceState } from '../observe/service-state.ts'
import { serviceStates } from '../observe/service-state.ts'
import type { ThreadSnapshot } from '../proxy/thread-snapshot.ts'
import type { HealthRunner } from './health.ts'
import type { Overrides } from './overrides.ts'
import type { PluginState } from './plugin-health.ts'
import type { SharedState } from './shared-state.ts'
import { type ReadinessEntry, readiness } from './status.ts'
import type { ThreadState } from './supervise.ts'

export interface SeeingSources {
  readonly state: SharedState
  readonly health: HealthRunner
  readonly overrides: Overrides
  served(): ThreadSnapshot | undefined
  threads(): readonly ThreadState[]
  plugins(): readonly PluginState[]
  draining(): boolean
  lastReload(): NodeState['lastReload']
  mainStalls(): NodeState['mainStalls']
  sync(): SyncState | undefined
}

export class Seeing {
  readonly #sources: SeeingSources
  readonly #metrics: MetricsSources
  readonly #version = packageVersion()
  #export: MetricsExport | undefined

  constructor(sources: SeeingSources) {
    const { health, state } = sources
    this.#sources = sources
    this.#metrics = {
      reader: state.reader,
      table: state.table,
      plugins: state.pluginMetrics,
      services: () => sources.served()?.services.values() ?? [],
      healthReason: (id) => {
        const known = health.state(id)
        return known?.status === 'down' ? known.reason : undefined
      },
      node: () => this.node(),
    }
  }

  /** @throws MR_LISTEN */
  async listen(at: Bootstrap['admin']): Promise<AdminListener | undefined> {
    if (!at) return undefined
    return startAdmin(at, {
      readiness: () => this.readiness(),
      services: () => this.services(),
      revision: () => this.#revision,
      metricsText: () => this.metricsText(),
      overrides: this.#sources.overrides,
    })
  }

  /** Live state of every service that is served. */
  services(): ServiceState[] {
    return serviceStates(this.#metrics)
  }

  metricsText(): Promise<string> {
    this.#export ??= new MetricsExport(this.#metrics)
    return this.#export.text()
  }

  readiness(): ReadinessEntry[] {
    return readiness({
      revision: this.#revision,
      draining: this.#sources.draining(),
      threads: this.#sources.threads(),
      plugins: this.#sources.plugins(),
      sync: this.#sources.sync(),
    })
  }

  node(): NodeState {
    const { draining, lastReload, mainStalls, threads } = this.#sources
    return {
      version: this.#version,
      revision: this.#revision,
      lastReload: lastReload(),
      draining: draining(),
      threads: threads().map(({ status, restarts }) => ({ ready: status === 'serving', restarts })),
      mainStalls: mainStalls(),
      plugins: this.#sources.plugins(),
      sync: this.#sources.sync(),
    }
  }

  get #revision(): number {
    return this.#sources.served()?.revision ?? 0
  }
}

/** The version of the package that this file belongs to, a checkout or the built one. */
function packageVersion(): string {
  const path = findPackageJSON(import.meta.url)
  return path ? (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version : 'unknown'
}
