/** A table, metrics and two services to measure, without threads or sockets. */
import type { BackendConfig, ServiceConfig } from '#core/config/snapshot'
import type { MetricsSources, NodeState } from '#core/observe/family'
import { MetricsReader } from '#core/observe/metrics-reader'
import { PluginMetricsReader } from '#core/observe/plugin-metrics'
import { type MetricsBuffers, ThreadMetrics } from '#core/observe/thread-metrics'
import type { PlacedService } from '#core/proxy/thread-snapshot'
import { SharedTable } from '#core/threads/table'

export interface Measured extends MetricsSources {
  readonly buffers: MetricsBuffers
  readonly threads: readonly ThreadMetrics[]
  /** Mutable: what `node()` returns. */
  state: NodeState
}

function backend(url: string): BackendConfig {
  const { hostname, port } = new URL(url)
  return {
    url,
    protocol: 'http',
    host: hostname,
    port: Number(port),
    socketPath: '',
    weight: 1,
    zone: 'a',
    tags: [],
    priority: 0,
  }
}

function placed(
  name: string,
  index: number,
  slots: readonly number[],
  urls: readonly string[],
): PlacedService {
  const config = {
    name,
    algorithm: { use: 'round-robin', options: {}, path: `services.${name}.algorithm` },
    backends: urls.map(backend),
  }
  // Nothing else of a service's config is read here.
  return { config: config as unknown as ServiceConfig, placement: { index, slots, table: undefined } }
}

/** Two threads; service `api` at 1 with backends in slots 3 and 4, `shop` at 0 with one in slot 0. */
export function measured(): Measured {
  const shape = { threads: 2, slots: 8, services: 4 }
  const table = SharedTable.create(shape)
  const buffers = ThreadMetrics.create(shape)
  const services = [
    placed('api', 1, [3, 4], ['http://127.0.0.1:9001', 'http://127.0.0.1:9002']),
    placed('shop', 0, [0], ['http://127.0.0.1:9003']),
  ]
  const result: Measured = {
    buffers,
    threads: [0, 1].map((thread) => ThreadMetrics.attach(buffers, thread)),
    reader: new MetricsReader(buffers),
    plugins: new PluginMetricsReader(buffers),
    table,
    services: () => services,
    healthReason: (id) => (id === 'api/http://127.0.0.1:9002' ? 'status 503' : undefined),
    node: () => result.state,
    state: {
      version: '1.2.3',
      revision: 7,
      lastReload: { ok: false, at: 1_700_000_000_500 },
      draining: false,
      threads: [
        { ready: true, restarts: 0 },
        { ready: false, restarts: 2 },
      ],
      mainStalls: { count: 1, ms: 1500 },
    },
  }
  return result
}
