/** What the sync engine knows of itself, for people, metrics and the node's record. */
import type { ErrorCode } from '../../host/errors.ts'

/** A revision in the line of history that it belongs to. */
export interface RevisionAt {
  readonly lineage: string
  readonly number: number
  readonly id: string
}

export interface Nack extends RevisionAt {
  readonly code: ErrorCode
  /** Every problem, one a line. */
  readonly reason: string
  /** Wall clock, milliseconds. */
  readonly at: number
}

/** The store no longer goes on from what this node has. */
export interface Fork {
  /** What the store holds now; undefined: no config at all, which is never followed. */
  readonly head: RevisionAt | undefined
  readonly reason: string
  /** Wall clock, milliseconds: when it was seen, and when the store will be followed. */
  readonly since: number
  readonly followsAt: number | undefined
}

export interface SyncState {
  /** What is served. */
  readonly applied: RevisionAt | undefined
  /** Where what is served was read. */
  readonly from: 'store' | 'last-known-good' | undefined
  /** The head of the store, or what could be read of it, is not what is served. */
  readonly nack: Nack | undefined
  /** Number of the revision that was refused last, also when a later one was taken; 0: none. */
  readonly lastNack: number
  readonly fork: Fork | undefined
  /** Of the last read: undefined before the first one has ended. */
  readonly reachable: boolean | undefined
  /** Why it could not be read. */
  readonly failure: string | undefined
  /** The store answers that no config was ever written. */
  readonly empty: boolean
  readonly bus: 'up' | 'down'
  readonly polling: boolean
  /** Reads of the store since the start: heads, values, history. */
  readonly reads: number
  /** Why the last-known-good could not be kept. */
  readonly notKept: string | undefined
  /** undefined: this node's sync has nothing to announce with. */
  readonly relay?: RelayState
  /** undefined: this node makes none. */
  readonly backup?: BackupState
}

export interface RelayState {
  /** This node is the one that announces. */
  readonly working: boolean
  /** Changes that this node has announced since its start. */
  readonly announced: number
}

export interface BackupState {
  /** Wall clock, milliseconds: the fleet's last one, by whichever node; undefined: none, as far as this node has seen. */
  readonly madeAt: number | undefined
  /** The last try of the fleet has failed, as far as this node has seen. */
  readonly failing: boolean
}

/** What has come of a config. */
export type UseResult =
  | { readonly status: 'used' }
  | {
      readonly status: 'refused'
      readonly problems: readonly { readonly code: ErrorCode; readonly message: string }[]
    }

/** `revision 7 (3f2a…)`. */
export function revisionText({ number, id }: { readonly number: number; readonly id: string }): string {
  return `revision ${number} (${id.slice(0, 12)})`
}

export function sameRevision(a: RevisionAt | undefined, b: RevisionAt | undefined): boolean {
  return a?.number === b?.number && a?.id === b?.id && a?.lineage === b?.lineage
}
