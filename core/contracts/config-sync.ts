/**
 * Kind `config-sync`: how a node learns that the store has changed. It brings hints, never the data: whatever it does or fails
 * to do, the core's engine reads the store, and a node converges by polling and reconciling alone. A sync plugin only makes
 * that fast. One instance per process, on the main thread; data threads do not know it.
 *
 * **Hints** may be lost, doubled, late, reordered, and for revisions that never were (a forged one costs a read). The engine reads
 * until it has the revision that was named, takes what the store says, and never goes back by a hint.
 *
 * **The bus** is `down` until the plugin says otherwise. While it is down the engine polls (slot key `poll`). It says `up`
 * only when its subscription is acknowledged, so that whatever is announced from then on would reach it; the engine then
 * makes a catch-up read and stops polling. It says `down` as soon as hints may have been lost: the connection is gone, a
 * subscriber was too slow, or there was no heartbeat for three of its intervals (one that says nothing while no change
 * happens cannot be told from one that is dead). Saying the same state again is harmless. A plugin that has no bus
 * (`poll`) never says `up`. Slowly, and jittered, the engine reconciles in any case (slot key `reconcile`): that is what covers a
 * bus that lies.
 *
 * `create` resolves without waiting for the bus; connecting, and connecting again with back-off and jitter, goes on beside.
 * At stop nothing is hinted any more, and the subscription ends.
 *
 * Slot keys of the core: `poll` (how often the heads are read while the bus is down, default 1 s), `reconcile` (and while it is
 * up, default 60 s). Where `use` is also the store's, the options that the sync's schema knows and the config does not
 * set are the store's: the connection is written once.
 */
import type { RevisionRef } from './config-store.ts'
import type { ProcessContext } from './process.ts'

export interface SyncContext extends ProcessContext {
  /** Whose changes these are; `fleet:` of the config. A path segment: `A-Z a-z 0-9 . _ -`. */
  readonly fleet: string
  /**
   * Secrets of the fleet (`fleetKey`), for the `Envelopes` of messages that do not go over {@link ProcessContext.network}: the
   * first seals, all of them are accepted. Empty where there is none: then a checksum, and a warning.
   */
  readonly fleetKeys: readonly string[]
  /** Prefixes of the documents whose changes matter to this node. Hints for others are ignored; a plugin that can, leaves them out. */
  readonly documents: readonly string[]
  /**
   * The document may have changed. Cheap: it notes and returns, and hints that come together are one read.
   * @param revision undefined: which one is not known. A number that the engine has, with another id, makes it read: a fork
   */
  hint(document: string, revision?: RevisionRef): void
  /** What the bus is from now on. */
  bus(state: 'up' | 'down'): void
}

export interface ConfigSync {
  /**
   * Tells all nodes of a committed change; called by its writer, or later by the relay, after the commit. May be called twice
   * for one revision, and for a lower one after a higher. The announcing node may hear itself.
   *
   * Resolves when the bus has taken the message over. Rejects, within 5 s, when it has not or when nobody knows: the change
   * stays in the store's outbox and is announced again. Absent: the store itself tells (`native`), or nobody does (`poll`).
   */
  announce?(document: string, revision: RevisionRef): Promise<void>
}
