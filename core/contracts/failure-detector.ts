/**
 * Kind `failure-detector`: an opinion on which nodes are alive. One instance per process, on its main thread.
 *
 * An opinion is never a fact: over a network, dead and slow look alike. It may lower a node's priority, start a second look,
 * or raise an alarm. It never gives anybody a right: only a lease does. A detector promises:
 * - Completeness: a node that has died and stays dead is `dead` in the end, to every detector that watches it.
 * - Correction: a node that is heard again is `alive` again, in one step, whatever was thought of it. So is one with a new boot id.
 * - It does not convict the others for its own faults: after its own event loop has stalled, or its clock jumped, for longer than 1 s
 *   the time is taken as if it had not passed; when it hears nobody at all it suspects, and convicts nobody faster than usual.
 * - It counts on `context.clock.now()` only. Its own node is always `alive`.
 *
 * A detector either asks by itself (SWIM over `context.network`) or is fed by {@link FailureDetector.heard} (φ-accrual over
 * heartbeats that come anyway); one that asks uses what it is fed, too.
 */
import type { FleetNode, ProcessContext } from './process.ts'

export type Liveness =
  | 'alive'
  /** Overdue; others may still vouch for it. Nothing is decided. */
  | 'suspect'
  | 'dead'

export interface Opinion {
  readonly liveness: Liveness
  /**
   * How sure it is that the node is gone: 0 just heard, rising while it is silent, possibly `Infinity`, never NaN or negative.
   * φ for accrual detectors (−log10 of the chance that it is only late); for others the share of the time until `dead`.
   */
  readonly suspicion: number
  /** Short, for people: `no answer to 3 probes`, `φ 8.2`. */
  readonly reason: string
}

export interface DetectorContext extends ProcessContext {
  /** The liveness of a node that is watched has become another. Not called for the first opinion, which is `alive`. */
  changed(id: string, opinion: Opinion): void
}

export interface FailureDetector {
  /** The whole list of nodes to watch, at start and whenever it changes. One that is new, or has another boot id, begins as `alive`
   * with its time starting now; one that is left out is forgotten. */
  update(nodes: readonly FleetNode[]): void
  /** A sign of life from elsewhere: a heartbeat, a message, a renewed lease. Synchronous and cheap. Of a node that is not
   * watched, or of another boot id than the one that is: ignored. */
  heard(id: string, boot: string): void
  /** The opinion now; undefined for a node that is not watched. Synchronous; changes nothing. */
  opinion(id: string): Opinion | undefined
}
