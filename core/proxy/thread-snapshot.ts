/** What a data thread is given: the snapshot, and where each service lives in the shared table. */
import type { ServiceConfig, Snapshot } from '../config/snapshot.ts'

export interface Placement {
  /** Index of the service in the shared table. */
  readonly index: number
  /** Slot of each backend, parallel to `config.backends`. */
  readonly slots: readonly number[]
  /** What the algorithm's `buildTable` made, if it has one. */
  readonly table: Uint8Array<SharedArrayBuffer> | undefined
}

/** A service as threads see it. The object is the same one (===) over snapshots while nothing of it has changed. */
export interface PlacedService {
  readonly config: ServiceConfig
  readonly placement: Placement
}

export interface ThreadSnapshot extends Omit<Snapshot, 'services'> {
  readonly services: ReadonlyMap<string, PlacedService>
  /** Resolved port of each listener that listens on TCP (port 0 is resolved by the main thread). */
  readonly ports: Readonly<Record<string, number>>
}
