/**
 * Kind `election`: makes one orchestrator the leader. One instance per process, on its main thread.
 *
 * **Terms.** Each leadership has a term, the fencing token of all that the leader does. Within a lineage terms strictly increase, and a
 * term has at most one leader, ever: a node that leads again, even the same one without another between, has a new term. Any
 * number of nodes may believe what they like; a leadership comes about only by a write to the store (a lease, a
 * compare-and-set) which one of them wins. Algorithms that elect by messages (ring, bully) decide who *tries*: after a
 * partition both halves have a winner, and the store lets one through.
 *
 * **Validity.** At most one leadership is `valid()` at any time, under the condition on clocks of `config-store`. It counts from
 * before the last acknowledged *write* was sent. A leader asks before each act, and passes its term on with it.
 *
 * **Liveness.** While candidates can reach the store and one another, there is a leader within 3 times to live of the moment
 * when the last one died, and within one, plus a round trip, of a resignation. A leader that is well stays it: a new candidate
 * does not depose it. Candidates that fail wait with jitter.
 *
 * The calls to the context come in order: `elected`, `deposed`, `elected`, …; never twice the same, never after stop.
 */
import type { FencingToken } from './config-store.ts'
import type { ProcessContext } from './process.ts'

export interface Leadership {
  readonly term: FencingToken
  /** Whether this node may act as the leader now. Reads a clock and nothing else; false for good once it was false. */
  valid(): boolean
  /** Milliseconds that {@link valid} will stay true if no renewal succeeds; 0 when it is false. */
  remainingMs(): number
}

export interface ElectionContext extends ProcessContext {
  /** Name of this candidate, unique among all starts of all nodes: the node's id, a slash, its boot id. */
  readonly candidate: string
  /** How long a leadership outlives a leader that has died, in milliseconds. */
  readonly ttlMs: number
  /** This node leads from now on, until `valid()` is false. */
  elected(leadership: Leadership): void
  /**
   * It leads no more. Called when `valid()` has become false, at the latest when that is noticed by a timer: a stalled loop notices
   * late, which is why the leader asks. After it the plugin is a candidate again, unless it has resigned.
   * @param reason short, for people: `lease lost`, `store unreachable for 9.9 s`, `resigned`
   */
  deposed(leadership: Leadership, reason: string): void
  /**
   * Who leads, as far as this node knows; undefined: nobody, or it is not known. A hint for people and for redirects, possibly late;
   * terms in it never go back. This node's own leadership is told, too.
   */
  leader(known: { readonly candidate: string; readonly term: FencingToken } | undefined): void
}

export interface Election {
  /** Takes part from now on, until it resigns or stops; before the first call it only watches. Idempotent. */
  campaign(): void
  /**
   * Gives up the leadership, if any, and takes part no more. `valid()` is false, and `deposed` called, before anything is sent.
   * Resolves when another could win, or when the store was told as well as it could be. Idempotent. Stopping does the same.
   */
  resign(): Promise<void>
}
