/** Metric families of services and their backends. */
import { type SharedTable, sumColumn } from '../threads/table.ts'
import type { Family, LatencyFamily, MetricsSources, Sample } from './family.ts'
import {
  attemptOutcomes,
  backendLayout,
  exchangeOutcomes,
  serviceLayout,
  statusClasses,
} from './thread-metrics.ts'

const requestBoundsMs = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000,
] as const

export const latencyFamilies: readonly LatencyFamily[] = [
  {
    name: 'millrace_request_duration_seconds',
    help: 'First byte of the request read to last byte of the answer written. Tunnels are not in it.',
    cell: serviceLayout.request,
    boundsMs: requestBoundsMs,
  },
  {
    name: 'millrace_upstream_duration_seconds',
    help: 'First byte of the request written to the backend to first byte of its answer read, per try; a read is dated with the start of its loop turn.',
    cell: serviceLayout.upstream,
    boundsMs: requestBoundsMs,
  },
  {
    name: 'millrace_overhead_seconds',
    help:
      'What the proxy itself adds: last head byte read to first upstream write, plus first response byte read to ' +
      'first client write. Never the transfer time of a peer.',
    cell: serviceLayout.overhead,
    boundsMs: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000],
  },
]

export const serviceFamilies: readonly Family[] = [
  {
    name: 'millrace_requests_total',
    type: 'counter',
    help:
      'Requests that have ended, by status class (none: the client got no answer) and outcome. Requests that reached ' +
      'no service have an empty service.',
    labels: ['service', 'status', 'outcome'],
    read: requests,
  },
  perService(
    'millrace_breaker_fallbacks_total',
    'counter',
    'Exchanges that got the fallback of their breaker.',
    ({ reader }, index) => reader.service(index, serviceLayout.fallbacks),
  ),
  perService('millrace_retries_total', 'counter', 'Tries after the first.', ({ reader }, index) =>
    reader.service(index, serviceLayout.retries),
  ),
  perService('millrace_requests_in_flight', 'gauge', 'Requests that have not ended.', ({ table }, index) =>
    sumColumn(table.active, index),
  ),
  perService(
    'millrace_retries_in_flight',
    'gauge',
    'Requests in a try after the first.',
    ({ table }, index) => sumColumn(table.retrying, index),
  ),
  perService(
    'millrace_pool_queued',
    'gauge',
    'Requests that wait for a connection to a backend.',
    ({ table }, index) => sumColumn(table.queued, index),
  ),
]

export const backendFamilies: readonly Family[] = [
  {
    name: 'millrace_backend_attempts_total',
    type: 'counter',
    help: 'Tries that have ended, by outcome.',
    labels: ['service', 'backend', 'outcome'],
    *read(sources) {
      for (const { labels, slot } of backends(sources)) {
        for (const [i, outcome] of attemptOutcomes.entries()) {
          yield [{ ...labels, outcome }, sources.reader.backend(slot, backendLayout.attempts + i)]
        }
      }
    },
  },
  perBackend(
    'millrace_pool_opened_total',
    'counter',
    'Connections opened to the backend.',
    ({ reader }, slot) => reader.backend(slot, backendLayout.opened),
  ),
  perBackend(
    'millrace_pool_connect_errors_total',
    'counter',
    'Connections that failed to open.',
    ({ reader }, slot) => reader.backend(slot, backendLayout.connectErrors),
  ),
  perBackend('millrace_backend_in_flight', 'gauge', 'Tries in flight.', column('inFlight')),
  perBackend(
    'millrace_pool_open',
    'gauge',
    'Connections open to the backend, idle ones too.',
    column('open'),
  ),
  perBackend(
    'millrace_pool_idle',
    'gauge',
    'Connections open to the backend that carry nothing.',
    column('idle'),
  ),
  perBackend(
    'millrace_backend_health',
    'gauge',
    'What health checks say: 0 nothing yet (available), 1 up, 2 down.',
    ({ table }, slot) => table.health[slot],
  ),
  perBackend(
    'millrace_backend_drained',
    'gauge',
    '1 when an operator has taken the backend out.',
    ({ table }, slot) => table.drained[slot],
  ),
  perBackend(
    'millrace_breaker_state',
    'gauge',
    'Circuit breaker: 0 closed, 1 open, 2 half-open.',
    ({ table }, slot) => table.breaker[slot],
  ),
  perBackend(
    'millrace_breaker_forced',
    'gauge',
    'What an operator has decided: 0 nothing, 1 held open, 2 held closed.',
    ({ table }, slot) => table.forced[slot],
  ),
]

function* requests({ services, reader }: MetricsSources): Iterable<Sample> {
  const rows = [{ name: '', index: -1 }]
  for (const { config, placement } of services()) rows.push({ name: config.name, index: placement.index })
  for (const { name: service, index } of rows) {
    for (const [i, status] of statusClasses.entries()) {
      for (const [j, outcome] of exchangeOutcomes.entries()) {
        const count = reader.service(index, serviceLayout.requests + i * exchangeOutcomes.length + j)
        // The usual series exist from the start, so that a rate sees their first increase.
        if (count > 0 || (outcome === 'ok' && index >= 0 && i > 1))
          yield [{ service, status, outcome }, count]
      }
    }
  }
}

function perService(
  name: string,
  type: Family['type'],
  help: string,
  value: (sources: MetricsSources, index: number) => number,
): Family {
  return {
    name,
    type,
    help,
    labels: ['service'],
    *read(sources) {
      for (const { config, placement } of sources.services()) {
        yield [{ service: config.name }, value(sources, placement.index)]
      }
    },
  }
}

function perBackend(
  name: string,
  type: Family['type'],
  help: string,
  value: (sources: MetricsSources, slot: number) => number,
): Family {
  return {
    name,
    type,
    help,
    labels: ['service', 'backend'],
    *read(sources) {
      for (const { labels, slot } of backends(sources)) yield [labels, value(sources, slot)]
    },
  }
}

function column(
  rows: 'inFlight' | 'open' | 'idle',
): (sources: { table: SharedTable }, slot: number) => number {
  return ({ table }, slot) => sumColumn(table[rows], slot)
}

function* backends(
  sources: MetricsSources,
): Iterable<{ labels: { service: string; backend: string }; slot: number }> {
  for (const { config, placement } of sources.services()) {
    for (const [i, { url }] of config.backends.entries()) {
      yield { labels: { service: config.name, backend: url }, slot: placement.slots[i] }
    }
  }
}
