/**
 * Kind `config-store`: the Config DB of a fleet, the one source of truth. One instance per process, on its main thread (or
 * in an orchestrator or DNS server); data threads never see it, and no request ever waits for it.
 *
 * **Documents.** The unit is a document: a name, a value of bytes, a revision, a history. There is no global revision and
 * no atomicity across documents. Names are 1–200 of `a-z A-Z 0-9 . _ - /`, without an empty segment; `health/w1` is nothing
 * but a name. Values are opaque to the store, 0 bytes to {@link maxValueBytes}. A store keeps several fleets apart by
 * `context.fleet`; one fleet can neither see nor change another.
 *
 * **Revisions.** Each committed write of a document makes a {@link Revision}: `number` counts up by one from 1, `id` is the
 * `writeId` of the write, `parent` the id of the revision it replaced. The same number with another id, or a lower number
 * than one that was seen, is a fork: the store has lost acknowledged writes (a promoted replica, a restored backup). A store
 * does not hide that and need not detect it; its readers do.
 *
 * **Tombstones.** A document is never removed: a write of `null` makes a revision without a value, and the next write goes on
 * counting. So a removed document is not a missing one, and no number is used twice in a lineage.
 *
 * **Promises under faults.** Connections break, commands are lost, resent, applied late; the store restarts or is replaced
 * by a replica; this process stalls. Even then:
 * - A read that resolves tells what the store holds. A store that cannot be asked rejects; it never answers "nothing there".
 * - `committed` means durable as far as the options ask for (a majority, the disk, one replica).
 * - A write takes effect once or never, however often it was sent.
 * - Two leases of one name are never both `valid()`, as long as the clocks of both holders and of the store run at
 *   rates within 1 % of each other.
 * - Fencing tokens only ever rise within a lineage. A store that may lose acknowledged writes when a replica takes over sets a
 *   floor that does not depend on them: its clock in microseconds will do, as tokens may have gaps.
 *
 * **Errors.** Every method rejects with a {@link MillraceError}: `MR_STORE_UNAVAILABLE` (could not be asked or did not answer
 * in time; try again later), `MR_STORE_DENIED` (credentials, access rights; trying again does not help), `MR_STORE_LIMIT` (a
 * name or value that is not allowed, nothing was sent), `MR_STORE_DATA` (what is stored cannot be understood: another
 * program's, or a newer version's). Each method has a limit of time of its own (an option, default 5 s): none hangs.
 *
 * `create` does not wait for a server that cannot be reached: it resolves, and calls reject until the server is there. It
 * rejects for what will not mend itself (a driver that is not installed). Connecting again is the plugin's own doing.
 * At stop the calls under way reject with `MR_STORE_UNAVAILABLE`; leases are left to lapse, not released: their holder
 * may still be acting.
 */
import type { PluginContext } from './plugin.ts'

/** Every store holds values of so many bytes, in pieces where it must. Longer ones are refused with `MR_STORE_LIMIT`. */
export const maxValueBytes = 8 * 1024 * 1024

/** A store keeps at least this much history of a document: so many revisions, or so many bytes of values if they are
 * reached first. The head always stays. */
export const historyLimits = { revisions: 100, bytes: 16 * 1024 * 1024 } as const

/** Names one revision of a document: what a hint carries, and what a write expects. */
export interface RevisionRef {
  /** From 1. */
  readonly number: number
  /** `writeId` of the write that made it. */
  readonly id: string
}

export interface Revision extends RevisionRef {
  /** Id of the revision before; undefined for number 1. */
  readonly parent: string | undefined
}

/** Who wrote, and why. Kept with the revision; a conflict shows it. */
export interface WriteNote {
  /** A person, token or node. At most 200 characters. */
  readonly by: string
  /** One line for people. At most 1,000 characters. */
  readonly message?: string
  /** Schema of the value, an integer ≥ 1; the engine's business, the store only keeps it. Default 1. */
  readonly schema?: number
}

/** What is known of a document without its value. */
export interface Head {
  readonly document: string
  readonly revision: Revision
  /** The revision has no value: the document was removed. */
  readonly tombstone: boolean
  readonly note: WriteNote
  /** Wall clock when the write was made, milliseconds since 1970, by the writer's or the store's clock: for people only. */
  readonly at: number
  /** Bytes of the value; 0 for a tombstone. */
  readonly bytes: number
}

export interface Document extends Head {
  /** `null` for a tombstone. The caller must not change the bytes. */
  readonly value: Uint8Array | null
  /** {@link ConfigStore.lineage} of the store that this was read from, where it tells that in the same step: whoever needs both
   * then makes no second call. Optional for a store. */
  readonly lineage?: string
}

export type PutResult =
  | { readonly status: 'committed'; readonly revision: Revision }
  /** Not written: the head is not what was expected. `head` is the one that stands in the way; `null`: there is no
   * document, although one was expected. */
  | { readonly status: 'conflict'; readonly head: Head | null }
  /** The write was sent and may have been, or may still be, applied. Nobody knows yet. */
  | { readonly status: 'unknown'; readonly cause: unknown }

export interface ReadOptions {
  /**
   * The answer must hold every write that was acknowledged to anybody before the call. Slower where reads go to replicas
   * (ZooKeeper: `sync` first). Without it a read holds at least what this instance has read, written or hinted at before.
   * After a hint that names a revision it is needed only if an answer without it does not show that revision. Default false.
   */
  readonly fresh?: boolean
}

/**
 * Ranks the holders of one lease, lock or leadership. Within a lineage each new holder has a greater `number` than all
 * before, over releases, lapses and restarts. Whatever a holder changes remembers the greatest token it has seen and
 * refuses a smaller one: that is what protects it from a holder that was stopped and goes on later.
 */
export interface FencingToken {
  /** {@link ConfigStore.lineage} of the store that gave it. Tokens of two lineages do not compare: the store's present
   * lineage counts, the other is void. */
  readonly lineage: string
  /** Safe integer ≥ 1. Not necessarily without gaps. */
  readonly number: number
}

/**
 * A right that ends by itself. Leases have no revision, history or hint.
 *
 * Before each act that needs the right the holder asks {@link valid}, and passes {@link token} on where it can. Validity
 * is counted by `context.clock.now()` from the moment *before* the last acknowledged write was sent, for the time to live
 * less 1 % and 2 ms. Reads, pings and an open session prove nothing (a ZooKeeper follower that is cut off goes on answering
 * them). The store gives the name to another no earlier than a whole time to live after it has applied that write.
 */
export interface Lease {
  readonly name: string
  readonly holder: string
  readonly token: FencingToken
  readonly ttlMs: number
  /** Whether the holder may act now. Reads a clock and nothing else; false for good after loss, release or stop. */
  valid(): boolean
  /** Milliseconds that {@link valid} will stay true without a renewal; 0 when it is false. */
  remainingMs(): number
  /**
   * A write that extends the lease by its time to live. The holder calls it, every third of the time to live: a store
   * never renews by itself, so that a holder that has stalled does not keep what it cannot serve.
   *
   * @returns true: extended; false: lost for good, and {@link valid} is false from now on
   * @throws MR_STORE_UNAVAILABLE when nobody knows; validity stays as it was, and the call may be repeated
   */
  renew(): Promise<boolean>
  /** Gives the name free at once; `valid()` is false before anything is sent. Idempotent; a failure only means that the
   * lease lapses by itself. Never frees what has become another's. Never rejects. */
  release(): Promise<void>
}

/** A lease as others see it. */
export interface LeaseInfo {
  readonly name: string
  readonly holder: string
  readonly token: FencingToken
}

/** What {@link ConfigStore.watch} calls. Never before `watch` has returned, never after `close`. */
export interface WatchListener {
  /** The document may have a new revision; which one, if it is known. See `config-sync` for what hints promise: nothing. */
  hint(document: string, revision?: RevisionRef): void
  /** `up`: whatever is committed from now on will be hinted at. `down`: hints may be missing since the last `up`. */
  bus(state: 'up' | 'down'): void
}

export interface ConfigStore {
  /**
   * The id of this store's line of history: random, made with the first write of the fleet, kept over restarts and
   * failover, replicated like data. A store that is filled from a backup begins another.
   * Revision numbers and tokens compare within one lineage only.
   */
  lineage(): Promise<string>

  /** The head with its value; `null` when the document was never written. A tombstone is a document. */
  get(document: string, options?: ReadOptions): Promise<Document | null>

  /** Heads of all documents whose name begins with `prefix` (`''`: all), tombstones too, sorted by name. What polling
   * costs: it reads no values. */
  heads(prefix: string, options?: ReadOptions): Promise<readonly Head[]>

  /**
   * Compare-and-set. Writes the revision, its history and its event (see {@link unannounced}) in one atomic step.
   *
   * Calls for one document may be made at the same time; one of them wins. The result is decided by the store, never by
   * what this instance remembers.
   *
   * **`unknown`** is settled by calling again with the same arguments: a `writeId` that is in the history is answered with
   * `committed` and its revision, also when others have written since, and changes nothing. Until then the first write may
   * still arrive; as it expects the same head it can take effect at most once. A plugin whose driver resends commands by
   * itself must see to the same.
   *
   * @param value `null`: a tombstone. The store keeps no reference to the bytes after it has resolved
   * @param expect the head that is to be replaced, by number *and* id; `null`: the document was never written
   * @param writeId unique among all writes, 1–64 of `A-Z a-z 0-9 _ -`; becomes the id of the revision. At least 64 bits of it
   *   are random
   * @throws MR_STORE_UNAVAILABLE only when it is certain that nothing was written and nothing will be
   */
  put(
    document: string,
    value: Uint8Array | null,
    expect: RevisionRef | null,
    writeId: string,
    note: WriteNote,
  ): Promise<PutResult>

  /**
   * Revisions of a document, the newest first, the head included, without gaps down to the oldest that is kept.
   * A revision that a fork has replaced is not in it. Empty: never written.
   *
   * @param before only numbers below this one
   * @param limit default 100
   */
  history(
    document: string,
    options?: { readonly before?: number; readonly limit?: number },
  ): Promise<readonly Head[]>

  /** One revision with its value; `null` when it is not kept (any more), or has another id. */
  revision(document: string, revision: RevisionRef): Promise<Document | null>

  /**
   * The outbox: documents whose head was committed and not yet announced. The event is written with the change, so a
   * writer that dies between the two loses nothing; whoever holds the relay's lease announces what stands here.
   */
  unannounced(): Promise<readonly Head[]>

  /** Notes that everything up to this revision has been announced. A lower number than the noted one changes nothing; one of
   * another id than the history's neither. */
  markAnnounced(document: string, revision: RevisionRef): Promise<void>

  /**
   * Takes a lease that nobody holds. By the same `holder` it is the same lease again: extended, with its token. So
   * a call whose answer was lost is simply repeated; a holder that must not be taken for an earlier one of itself has a
   * name with a random part.
   *
   * @param name as for documents; leases and documents do not meet
   * @param holder 1–200 characters, for people too: the node's id, a slash, a random part
   * @param ttlMs at least 100; a store that only has greater ones (ZooKeeper) may take longer to give it to another, never shorter
   * @returns undefined when another holds it
   * @throws MR_STORE_UNAVAILABLE when nobody knows; a lease that came about all the same lapses, or is had by repeating
   */
  lease(name: string, holder: string, ttlMs: number): Promise<Lease | undefined>

  /** Leases that are held now, whose name begins with `prefix`, sorted by name. One that has lapsed may be listed for as long
   * as the store would not give it to another. */
  leases(prefix: string): Promise<readonly LeaseInfo[]>

  /**
   * Optional: the store's own notification, which the sync plugin `native` uses. Returns at once, in state `down`; connects,
   * re-arms and re-connects by itself. Where watches fire once (ZooKeeper), one is armed again by the reading call, before
   * the value is read, so that no change falls between.
   *
   * @param prefixes of documents
   */
  watch?(prefixes: readonly string[], listener: WatchListener): { close(): void }
}

/** Context of a store. It is the first part of a node that is made: there is no store, network or membership yet. */
export interface StoreContext extends PluginContext {
  /** Whose documents these are; `fleet:` of the config. A path segment: `A-Z a-z 0-9 . _ -`. */
  readonly fleet: string
  /** Id and boot id of this node, for names of clients and connections. */
  readonly node: { readonly id: string; readonly boot: string }
  /** `node.data` as an absolute path; where an embedded store keeps its files. */
  readonly data: string
}
