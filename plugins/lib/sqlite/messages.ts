/** What the main thread and the database's thread say to each other. Plain data: only types cross this file. */
import type { ErrorCode, Head, PutResult, Revision, RevisionRef } from 'millrace'

export interface ThreadData {
  /** Absolute path of the file. */
  readonly path: string
  readonly fleet: string
}

export interface WriteArguments {
  readonly document: string
  readonly value: Uint8Array | null
  readonly expect: RevisionRef | null
  readonly writeId: string
  readonly by: string
  readonly message: string | undefined
  readonly schema: number
  readonly at: number
}

export interface StoredDocument extends Head {
  readonly value: Uint8Array | null
}

export interface LeaseRow {
  readonly name: string
  readonly holder: string
  readonly token: { readonly lineage: string; readonly number: number }
}

/** What the database's thread can be asked; each is one transaction. */
export interface DatabaseCalls {
  lineage(): string
  get(document: string): StoredDocument | null
  heads(prefix: string): Head[]
  put(write: WriteArguments): PutResult
  history(document: string, before: number, limit: number): Head[]
  revision(document: string, number: number, id: string): StoredDocument | null
  unannounced(): Head[]
  markAnnounced(document: string, number: number, id: string): void
  /** @param givenBack a token that the holder has released, though that may not have arrived: it does not come back */
  lease(name: string, holder: string, ttlMs: number, givenBack?: number): LeaseRow | undefined
  renew(name: string, token: number, ttlMs: number): boolean
  release(name: string, token: number): void
  leases(prefix: string): LeaseRow[]
  /** Changes are reported from now on. */
  watch(): void
  unwatch(): void
}

export type Operation = keyof DatabaseCalls

export interface CallMessage {
  readonly id: number
  readonly operation: Operation
  readonly given: readonly unknown[]
  /** By {@link monotonicMs}: it is not begun after this. */
  readonly deadline: number
}

export type ToDatabase = CallMessage | 'stop'

export interface FaultData {
  readonly code: ErrorCode
  readonly message: string
  /** It failed while it was being committed: it may be in the file all the same. */
  readonly uncertain: boolean
}

export interface Change {
  readonly document: string
  readonly revision: Pick<Revision, 'number' | 'id'>
}

export type FromDatabase =
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly fault: FaultData }
  | { readonly type: 'changes'; readonly changes: readonly Change[] }
  | { readonly type: 'bus'; readonly state: 'up' | 'down'; readonly reason: string }

/** The machine's monotonic clock, in milliseconds: the same in all threads and processes of a boot. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
