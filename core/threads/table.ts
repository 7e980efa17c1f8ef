/**
 * The table that all threads share: per-backend state by slot, per-service epochs, and the counters that limits are made
 * of. Each thread writes only its own rows with plain stores, so the hot path has no atomics; whoever sums reads all rows.
 * A row of a thread that died is zeroed by the main thread before its successor starts.
 */

export const health = { unknown: 0, up: 1, down: 2 } as const
/** What an operator has decided about a backend's breaker. */
export const forced = { auto: 0, open: 1, closed: 2 } as const

export interface TableShape {
  readonly threads: number
  /** How many backends and services can exist at once, old and new snapshots together. */
  readonly slots: number
  readonly services: number
}

/** What is handed to a worker. */
export interface TableBuffers {
  readonly shape: TableShape
  readonly memory: SharedArrayBuffer
}

/** Cells of client addresses, hashed; see `addressCell`. */
export const addressCells = 65536

export class SharedTable {
  readonly shape: TableShape
  readonly buffers: TableBuffers
  /** [thread][slot] exchanges in flight. */
  readonly inFlight: readonly Int32Array[]
  /** [thread][service] exchanges active, and retries among them: what the retry budget is made of. */
  readonly active: readonly Int32Array[]
  readonly retrying: readonly Int32Array[]
  /** [thread][service] exchanges waiting for a connection. */
  readonly queued: readonly Int32Array[]
  /** [thread][slot] upstream connections: open in all, and idle among them. */
  readonly open: readonly Int32Array[]
  readonly idle: readonly Int32Array[]
  /** [thread] client connections open. */
  readonly clients: Int32Array
  /** [thread][cell] client connections by hashed address. */
  readonly addresses: readonly Int32Array[]
  /** [slot] `health.*`, written by the main thread. */
  readonly health: Int32Array
  /** [slot] 1 = takes no new exchanges (an operator's drain), written by the main thread. */
  readonly drained: Int32Array
  /** [slot] 0 closed, 1 open, 2 half-open; written by the thread whose breaker changed, for seeing only. */
  readonly breaker: Int32Array
  /** [slot] `forced.*`, an operator's switch, written by the main thread. */
  readonly forced: Int32Array
  /** [slot] counts up with each owner of the slot. */
  readonly generation: Int32Array
  /** [service] counts up when availability changed: threads then rebuild their view. */
  readonly epoch: Int32Array

  private constructor(buffers: TableBuffers) {
    const { threads, slots, services } = buffers.shape
    let offset = 0
    const next = (length: number): Int32Array => {
      const cells = new Int32Array(buffers.memory, offset, length)
      // Rows of different threads start on different cache lines: no false sharing.
      offset = (offset + length * 4 + 63) & ~63
      return cells
    }
    const rows = (length: number): Int32Array[] => Array.from({ length: threads }, () => next(length))
    this.shape = buffers.shape
    this.buffers = buffers
    this.inFlight = rows(slots)
    this.active = rows(services)
    this.retrying = rows(services)
    this.queued = rows(services)
    this.open = rows(slots)
    this.idle = rows(slots)
    this.addresses = rows(addressCells)
    this.clients = next(threads)
    this.health = next(slots)
    this.drained = next(slots)
    this.breaker = next(slots)
    this.forced = next(slots)
    this.generation = next(slots)
    this.epoch = next(services)
  }

  static create(shape: TableShape): SharedTable {
    const rowBytes = (cells: number): number => (cells * 4 + 63) & ~63
    const perThread = rowBytes(shape.slots) * 3 + rowBytes(shape.services) * 3 + rowBytes(addressCells)
    const fixed = rowBytes(shape.threads) + rowBytes(shape.slots) * 5 + rowBytes(shape.services)
    // Untouched pages of a fresh SharedArrayBuffer cost address space, not memory.
    const memory = new SharedArrayBuffer(perThread * shape.threads + fixed)
    return new SharedTable({ shape, memory })
  }

  static attach(buffers: TableBuffers): SharedTable {
    return new SharedTable(buffers)
  }

  /** Zeroes what a dead thread left behind. */
  clearThread(thread: number): void {
    for (const rows of [
      this.inFlight,
      this.active,
      this.retrying,
      this.queued,
      this.open,
      this.idle,
      this.addresses,
    ]) {
      rows[thread].fill(0)
    }
    this.clients[thread] = 0
  }
}

/** Sum of one column over all threads. */
export function sumColumn(rows: readonly Int32Array[], column: number): number {
  let sum = 0
  for (let thread = 0; thread < rows.length; thread++) sum += rows[thread][column]
  return sum
}
