/** The live state of services and backends, for people and tools: what `/v1/services` answers. */
import type { BreakerState } from '../contracts/circuit-breaker.ts'
import type { PlacedService } from '../proxy/thread-snapshot.ts'
import { type forced, health, type SharedTable, sumColumn } from '../threads/table.ts'
import type { LatencySummary } from './latency-histogram.ts'
import type { MetricsReader } from './metrics-reader.ts'
import {
  type attemptOutcomes,
  backendLayout,
  exchangeOutcomes,
  serviceLayout,
  statusClasses,
} from './thread-metrics.ts'

/** Milliseconds, to within 10 %; null while nothing was measured. */
export interface Quantiles {
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
}

export interface BackendState {
  readonly url: string
  readonly weight: number
  readonly zone: string
  readonly tags: readonly string[]
  readonly priority: number
  readonly health: 'unknown' | 'up' | 'down'
  /** Why the last probe failed, where one did. */
  readonly reason?: string
  readonly drained: boolean
  readonly breaker: BreakerState
  /** What an operator has decided: `auto` leaves it to the breaker. */
  readonly forced: keyof typeof forced
  readonly inFlight: number
  readonly connections: {
    readonly open: number
    readonly idle: number
    readonly opened: number
    readonly failed: number
  }
  readonly attempts: Readonly<Record<(typeof attemptOutcomes)[number], number>>
}

export interface ServiceState {
  readonly name: string
  readonly algorithm: string
  readonly inFlight: number
  readonly queued: number
  readonly retrying: number
  /** Since start, by status class; `none` where the client got no answer. */
  readonly requests: Readonly<Record<(typeof statusClasses)[number], number>>
  readonly retries: number
  readonly durationMs: Quantiles
  readonly upstreamMs: Quantiles
  readonly overheadMs: Quantiles
  readonly backends: readonly BackendState[]
}

export interface StateSources {
  readonly reader: MetricsReader
  readonly table: SharedTable
  /** The services of the current snapshot and where they live. */
  services(): Iterable<PlacedService>
  /** Last failure of a backend's probes, by `service/url`. */
  healthReason?(id: string): string | undefined
}

export const breakerStates = ['closed', 'open', 'half-open'] as const satisfies readonly BreakerState[]
const forcedNames = ['auto', 'open', 'closed'] as const satisfies readonly (keyof typeof forced)[]
const healthNames = { [health.unknown]: 'unknown', [health.up]: 'up', [health.down]: 'down' } as const

export function serviceStates(sources: StateSources): ServiceState[] {
  return Array.from(sources.services(), (service) => serviceState(sources, service))
}

function serviceState(sources: StateSources, { config, placement }: PlacedService): ServiceState {
  const { reader, table } = sources
  const { index } = placement
  return {
    name: config.name,
    algorithm: config.algorithm.use,
    inFlight: sumColumn(table.active, index),
    queued: sumColumn(table.queued, index),
    retrying: sumColumn(table.retrying, index),
    requests: statusCounts(reader, index),
    retries: reader.service(index, serviceLayout.retries),
    durationMs: quantiles(reader.latency(index, serviceLayout.request)),
    upstreamMs: quantiles(reader.latency(index, serviceLayout.upstream)),
    overheadMs: quantiles(reader.latency(index, serviceLayout.overhead)),
    backends: config.backends.map((backend, i) => {
      const { url, weight, zone, tags, priority } = backend
      const reason = sources.healthReason?.(`${config.name}/${url}`)
      return {
        url,
        weight,
        zone,
        tags,
        priority,
        ...(reason ? { reason } : {}),
        ...slotState(sources, placement.slots[i]),
      }
    }),
  }
}

function slotState(
  { reader, table }: StateSources,
  slot: number,
): Omit<BackendState, 'url' | 'weight' | 'zone' | 'tags' | 'priority'> {
  return {
    health: healthNames[table.health[slot] as keyof typeof healthNames] ?? 'unknown',
    drained: table.drained[slot] !== 0,
    breaker: breakerStates[table.breaker[slot]] ?? 'closed',
    forced: forcedNames[table.forced[slot]] ?? 'auto',
    inFlight: sumColumn(table.inFlight, slot),
    connections: {
      open: sumColumn(table.open, slot),
      idle: sumColumn(table.idle, slot),
      opened: reader.backend(slot, backendLayout.opened),
      failed: reader.backend(slot, backendLayout.connectErrors),
    },
    attempts: {
      success: reader.backend(slot, backendLayout.attempts),
      failure: reader.backend(slot, backendLayout.attempts + 1),
      cancelled: reader.backend(slot, backendLayout.attempts + 2),
    },
  }
}

function statusCounts(reader: MetricsReader, index: number): ServiceState['requests'] {
  const counts = statusClasses.map((_, statusClass) => {
    let count = 0
    for (let outcome = 0; outcome < exchangeOutcomes.length; outcome++) {
      count += reader.service(index, serviceLayout.requests + statusClass * exchangeOutcomes.length + outcome)
    }
    return count
  })
  const [none, c1, c2, c3, c4, c5] = counts
  return { none, '1xx': c1, '2xx': c2, '3xx': c3, '4xx': c4, '5xx': c5 }
}

function quantiles(summary: LatencySummary): Quantiles {
  const at = (q: number): number | null => {
    const value = summary.quantile(q)
    // Rounded to what the histogram knows: 0.11 instead of 0.11000000000000001.
    return Number.isFinite(value) ? Number(value.toPrecision(2)) : null
  }
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) }
}
