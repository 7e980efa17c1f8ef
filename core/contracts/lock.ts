/**
 * Kind `lock`: mutual exclusion between nodes, for work that must not be done twice at once (relay, backups, provisioning).
 * One instance per process, on its main thread.
 *
 * A lock is a lease (`config-store`): it ends by itself when its holder dies, and no lock over a network can promise that its
 * holder has noticed. What it promises:
 * - `acquire` resolves with a lock only if it is valid at that moment: its time is checked after the last answer came.
 * - Validity counts from before the first request of the round that got or renewed it was sent, less 1 % of the time to live and 2 ms.
 * - Tokens of one name strictly increase from holder to holder within a lineage, whatever is lost or restarted: what the lock
 *   guards refuses a smaller token. Where the lock's own servers can forget (Redlock on nodes that restart empty), two may hold it
 *   at once; the token is then what keeps the first from harm, so it comes from something that does not forget.
 * - A lock is not re-entrant: a second `acquire` of a name by the same process waits like anybody's.
 */
import type { FencingToken } from './config-store.ts'
import type { ProcessContext } from './process.ts'

export interface LockContext extends ProcessContext {
  /** Whose locks these are; `fleet:` of the config. The locks of two fleets are apart, also where their servers are the same. */
  readonly fleet: string
}

export interface AcquireOptions {
  /** How long the lock outlives a holder that has died, in milliseconds; at least 100. Default 10,000. */
  readonly ttlMs?: number
  /** How long to wait while another holds it, with jitter; default 0: one try. Waiters are not served in order. */
  readonly waitMs?: number
  /** Ends the waiting: `acquire` rejects with its reason, and nothing stays held. */
  readonly signal?: AbortSignal
}

export interface Lock {
  readonly name: string
  readonly token: FencingToken
  /** Whether the holder may act now; asked before each act. Reads a clock and nothing else. False for good after loss,
   * release or stop. */
  valid(): boolean
  /** Milliseconds that {@link valid} will stay true if no renewal succeeds; 0 when it is false. */
  remainingMs(): number
  /**
   * Fires when the lock is lost, its validity is over, or the instance stops; not at `release`. May come late where the loop has stalled: it ends
   * work, {@link valid} permits it.
   */
  readonly lost: AbortSignal
  /** Frees the lock if it is still this holder's (compare-and-delete). `valid()` is false before anything is sent.
   * Idempotent; never rejects: what cannot be freed lapses. */
  release(): Promise<void>
}

export interface Locker {
  /**
   * Takes the lock and keeps it: the plugin renews it every third of its time to live until it is released, lost, or the
   * instance stops, which releases what is held. A try that fails half-way (Redlock without a majority) frees what it got.
   *
   * @param name 1–200 of `a-z A-Z 0-9 . _ - /`, without an empty segment
   * @returns undefined when another has held it for all of `waitMs`
   * @throws MR_STORE_UNAVAILABLE when the servers could not be asked within `waitMs` and 5 s, or the instance stops; nothing is held
   *   then, or it lapses. MR_STORE_LIMIT for a name or time that is not allowed; nothing was sent
   */
  acquire(name: string, options?: AcquireOptions): Promise<Lock | undefined>
}
