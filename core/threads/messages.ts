/** Everything that the main thread and a data thread say to each other. All of it is cloneable data. */
import type { BackendConfig, Snapshot } from '../config/snapshot.ts'
import { type ErrorCode, errorTable, MillraceError } from '../host/errors.ts'
import type { ShippedPlugin } from '../host/loader.ts'
import type { AccessRecord } from '../observe/access-record.ts'
import type { MetricsBuffers } from '../observe/thread-metrics.ts'
import type { PlacedService } from '../proxy/thread-snapshot.ts'
import type { ArenaBuffers } from './arena.ts'
import type { FaultCount } from './fault-report.ts'
import type { TableBuffers } from './table.ts'

/** What a data thread is born with. */
export interface ThreadData {
  /** From 0; a thread that takes over from another has the same. */
  readonly thread: number
  readonly threads: number
  /** Its own row in what the threads share. */
  readonly row: number
  /** Zone of this node; empty: none. */
  readonly zone: string
  readonly table: TableBuffers
  readonly metrics: MetricsBuffers
  readonly arena: ArenaBuffers
  /** 48 random bytes, the same in all threads, so that a TLS session resumes on any of them. */
  readonly ticketKeys: Uint8Array
  /** Module that exports `builtins`; other plugins come with the first snapshot. */
  readonly builtinsUrl: string
  /** Module that exports `DataPlane`. */
  readonly dataPlaneUrl: string
}

/** All of a snapshot but its services. */
export type SnapshotRest = Omit<Snapshot, 'services'> & { readonly ports: Readonly<Record<string, number>> }

/** What has changed against the snapshot that the thread committed last. */
export interface SnapshotDelta {
  /** Revision it is to be laid over; undefined: over nothing. */
  readonly base: number | undefined
  readonly rest: Partial<SnapshotRest>
  readonly changed: readonly (readonly [name: string, service: PlacedService])[]
  readonly removed: readonly string[]
}

/** Some of the changed services of a delta that is sent in parts; a large one goes on in the next part. */
export type DeltaPart = readonly {
  readonly name: string
  /** The service without its backends, with the first of them. */
  readonly begins: PlacedService | undefined
  readonly backends: readonly BackendConfig[]
}[]

/** Plugin code that a snapshot needs. */
export interface PluginCode {
  readonly plugins: readonly ShippedPlugin[]
  /** Of what the main thread has loaded (`codeVersion`). */
  readonly version: string
}

export type ToThread =
  /** Changed services of the `prepare` that will follow; answered by `part-taken`. */
  | { readonly type: 'part'; readonly txn: number; readonly part: DeltaPart }
  /** Make ready for this snapshot; answered by `prepared` or `refused`. `code` is there when it is not what the thread has. */
  | {
      readonly type: 'prepare'
      readonly txn: number
      readonly delta: SnapshotDelta
      readonly code: PluginCode | undefined
    }
  /** Switch to what was prepared; answered by `committed`. */
  | { readonly type: 'commit'; readonly txn: number }
  /** Drop what was (or could not be) prepared; answered by `discarded`. */
  | { readonly type: 'discard'; readonly txn: number }
  /** From now on responses carry `Connection: close`. */
  | { readonly type: 'drain' }
  /** Close listeners, and connections that are idle `idleAfterMs` later; answered by `quiet` when the last exchange has ended. */
  | { readonly type: 'close-listeners'; readonly idleAfterMs: number }
  /** So many access records were taken from the thread's messages. */
  | { readonly type: 'access-taken'; readonly records: number }
  /** Destroy everything and exit. */
  | { readonly type: 'stop' }

export type FromThread =
  /** Plugins are loaded; waiting for the first snapshot. */
  | { readonly type: 'online' }
  | { readonly type: 'part-taken'; readonly txn: number }
  | { readonly type: 'prepared'; readonly txn: number }
  | { readonly type: 'refused'; readonly txn: number; readonly problems: readonly ErrorData[] }
  | { readonly type: 'committed'; readonly txn: number }
  | { readonly type: 'discarded'; readonly txn: number }
  /** No exchange of this thread uses a snapshot older than this revision. */
  | { readonly type: 'released'; readonly revision: number }
  | { readonly type: 'listeners-closed' }
  | { readonly type: 'quiet' }
  /** What plugins did wrong since the last such message. */
  | { readonly type: 'faults'; readonly faults: readonly FaultCount[] }
  | { readonly type: 'access'; readonly records: readonly AccessRecord[] }
  | {
      readonly type: 'log'
      readonly level: LogLevel
      readonly message: string
      readonly fields: Record<string, unknown> | undefined
    }

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** An error as data. */
export interface ErrorData {
  readonly code: ErrorCode
  readonly message: string
  readonly plugin?: string
  readonly hook?: string
  readonly path?: string
  readonly stack?: string
}

/** Makes an error cloneable, with the messages of its causes. Foreign errors get `code`. */
export function errorData(error: unknown, code: ErrorCode = 'MR_THREAD'): ErrorData {
  if (!(error instanceof Error)) return { code, message: String(error) }
  // An error of ours from another module instance or thread is known by its fields, not by its class.
  const own = error as Error & Partial<MillraceError>
  const named = typeof own.code === 'string' && own.code in errorTable
  return {
    code: named ? (own.code as ErrorCode) : code,
    message: error.message + causes(error),
    plugin: named ? own.plugin : undefined,
    hook: named ? own.hook : undefined,
    path: named ? own.path : undefined,
    stack: error.stack,
  }
}

/** The way back from {@link errorData}. */
export function toError(data: ErrorData): MillraceError {
  return new MillraceError(data.code, data.message, { plugin: data.plugin, hook: data.hook, path: data.path })
}

function causes(error: Error): string {
  const cause = error.cause
  if (!(cause instanceof Error) || error.message.includes(cause.message)) return ''
  return `: ${cause.message}${causes(cause)}`
}
