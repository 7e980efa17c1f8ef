/**
 * The metrics of `/metrics`: a prom-client registry whose families are filled from the shared cells when somebody asks, so
 * that nothing of prom-client is on the way of a request.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Family, LatencyFamily, MetricsSources, Sample } from './family.ts'
import type { LatencySummary } from './latency-histogram.ts'
import { nodeFamilies } from './node-families.ts'
import type { PluginSample } from './plugin-metrics.ts'
import { backendFamilies, latencyFamilies, serviceFamilies } from './service-families.ts'
import { syncFamilies } from './sync-families.ts'

const simpleFamilies: readonly Family[] = [
  ...serviceFamilies,
  ...backendFamilies,
  ...nodeFamilies,
  ...syncFamilies,
]

/** Name, type, help and labels of every family but the plugins' own: what the docs print. */
export function describeMetrics(): { name: string; type: string; help: string; labels: readonly string[] }[] {
  return [
    ...latencyFamilies.map(({ name, help }) => ({ name, type: 'histogram', help, labels: ['service'] })),
    ...simpleFamilies.map(({ name, type, help, labels }) => ({ name, type, help, labels })),
  ]
}

export class MetricsExport {
  readonly registry = new Registry()
  readonly #sources: MetricsSources
  /** Names of the families of plugins, which come and change as plugins do. */
  readonly #plugins = new Map<string, Family['type']>()

  constructor(sources: MetricsSources) {
    this.#sources = sources
    for (const family of latencyFamilies) new CellHistogram(family, sources, this.registry)
    for (const family of simpleFamilies) register(this.registry, family, () => family.read(sources))
  }

  get contentType(): string {
    return this.registry.contentType
  }

  /** The text of `/metrics`. */
  text(): Promise<string> {
    this.#registerPlugins()
    return this.registry.metrics()
  }

  /** One family a name, over all plugins that use the name; a gauge as soon as one of them means a gauge. */
  #registerPlugins(): void {
    const samples = this.#sources.plugins.samples()
    for (const [metric, group] of Map.groupBy(samples, ({ name }) => name)) {
      const name = `millrace_plugin_${metric}`
      const type = group.some(({ kind }) => kind === 'gauge') ? 'gauge' : 'counter'
      if (this.#plugins.get(name) === type) continue
      if (this.#plugins.has(name)) this.registry.removeSingleMetric(name)
      this.#plugins.set(name, type)
      const family = { name, type, help: group[0].help || metric, labels: ['plugin', 'use'] } as const
      register(this.registry, family, () => pluginSamples(this.#sources.plugins.samples(), metric))
    }
  }
}

function pluginSamples(samples: readonly PluginSample[], metric: string): Sample[] {
  return samples
    .filter(({ name }) => name === metric)
    .map(({ plugin, use, value }): Sample => [{ plugin, use }, value])
}

function register(registry: Registry, family: Omit<Family, 'read'>, read: () => Iterable<Sample>): void {
  const { name, help, type } = family
  const options = { name, help, labelNames: [...family.labels], registers: [registry] }
  const metric: Gauge | Counter =
    type === 'gauge'
      ? new Gauge({ ...options, collect: () => fill(metric, read()) })
      : new Counter({ ...options, collect: () => fill(metric, read()) })
}

function fill(metric: Gauge | Counter, samples: Iterable<Sample>): void {
  metric.reset()
  for (const [labels, value] of samples) metric.inc(labels, value)
}

interface BucketSample {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** A histogram whose buckets are counted from the log-linear cells when it is read; nothing is ever observed. */
class CellHistogram extends Histogram<string> {
  readonly #family: LatencyFamily
  readonly #sources: MetricsSources

  constructor(family: LatencyFamily, sources: MetricsSources, registry: Registry) {
    const { name, help, boundsMs } = family
    super({
      name,
      help,
      labelNames: ['service'],
      registers: [registry],
      buckets: boundsMs.map((ms) => ms / 1000),
    })
    this.#family = family
    this.#sources = sources
  }

  /** What prom-client reads, for text and for JSON. */
  async getForPromString(): Promise<object> {
    const { name, help, cell } = this.#family
    const values: BucketSample[] = []
    for (const { config, placement } of this.#sources.services()) {
      this.#buckets(config.name, this.#sources.reader.latency(placement.index, cell), values)
    }
    return { name, help, type: 'histogram', aggregator: 'sum', values }
  }

  #buckets(service: string, summary: LatencySummary, values: BucketSample[]): void {
    const { name, boundsMs } = this.#family
    for (const [i, value] of summary.cumulative(boundsMs).entries()) {
      values.push({ metricName: `${name}_bucket`, labels: { service, le: boundsMs[i] / 1000 }, value })
    }
    values.push({ metricName: `${name}_bucket`, labels: { service, le: '+Inf' }, value: summary.count })
    values.push({ metricName: `${name}_sum`, labels: { service }, value: summary.sumMs / 1000 })
    values.push({ metricName: `${name}_count`, labels: { service }, value: summary.count })
  }
}
