/**
 * Kind `metrics-source`: tells how loaded nodes are, for scaling. One instance per process, on the main thread of an
 * orchestrator; the leader asks, some times a minute.
 *
 * **Missing is missing.** A reading that is not there, is older than three of its own intervals, or is not a finite number ≥ 0
 * is left out; never 0, never the last one again. Missing data never scales in, so a source that invents data is worse than
 * one that fails. When nothing can be asked at all, `read` rejects (`MR_METRICS`): unreachable is not the same as empty.
 */
import type { FleetNode, ProcessContext } from './process.ts'

/**
 * - `cpu`: share of what the node may use, 1 = all of it; above 1 is possible
 * - `memory`: share of its limit (or of the machine's memory), 0–1, of what cannot be given back
 * - `connections`: open client connections, a count
 * - `network`: bytes a second, in and out together
 * - `requests`: a second
 */
export type MetricName = 'cpu' | 'memory' | 'connections' | 'network' | 'requests'

export interface Reading {
  /** Id of the node. */
  readonly node: string
  readonly metric: MetricName
  readonly value: number
  /** When it was measured, not when it was asked for: wall clock, milliseconds since 1970. */
  readonly at: number
}

export interface MetricsRequest {
  readonly nodes: readonly FleetNode[]
  readonly metrics: readonly MetricName[]
  /** Rates and means are over the last so many milliseconds. */
  readonly windowMs: number
}

export interface MetricsSource {
  /**
   * At most one reading for a node and metric; none for others than asked for; in any order.
   * @param signal ends the waiting; the leader gives it 10 s
   * @throws MR_METRICS when the source could not be asked
   */
  read(request: MetricsRequest, signal: AbortSignal): Promise<readonly Reading[]>
}

export type MetricsContext = ProcessContext
