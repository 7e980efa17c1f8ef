/**
 * Memory that all threads' instances of a plugin share, found by key. One block of shared memory with its directory
 * inside, so that any thread gets its piece synchronously. A spin lock guards the directory; nothing here is on the way of
 * a request.
 *
 * A thread may be killed at any point. So each change becomes visible by a single store, in an order that leaves at worst
 * an unused block behind, and the main thread frees the lock of a thread that has died (`breakLock`).
 */
import { MillraceError } from '../host/errors.ts'

export interface ArenaBuffers {
  readonly memory: SharedArrayBuffer
}

const defaultBytes = 64 * 1024 * 1024

/** Int32 cells before the first block. */
const lockCell = 0
/** Offset of the first byte that was never used, in units of 64 bytes. */
const topCell = 1
const freeCell = 16
const classes = 128
const bucketCell = freeCell + classes
const buckets = 16384
const firstBlock = Math.ceil(((bucketCell + buckets) * 4) / 64) * 64

/** Int32 cells of a block's head; then the key, then the data, each padded to 8 bytes. */
const block = {
  next: 0,
  hash: 1,
  keyBytes: 2,
  dataBytes: 3,
  owner: 4,
  sizeClass: 5,
  live: 6,
  cells: 8,
} as const

const unit = 64
const pad8 = (bytes: number): number => (bytes + 7) & ~7

/** Size classes, four to each doubling, in units of 64 bytes: little is wasted, and what is freed fits what comes next. */
function classOf(bytes: number): number {
  const units = Math.max(1, Math.ceil(bytes / unit))
  if (units <= 4) return units - 1
  const log = 31 - Math.clz32(units - 1)
  return 4 + (log - 2) * 4 + ((units - 1 - (1 << log)) >> (log - 2))
}

function classUnits(index: number): number {
  if (index < 4) return index + 1
  const log = 2 + ((index - 4) >> 2)
  return (1 << log) + (((index - 4) & 3) + 1) * (1 << (log - 2))
}

export class SharedArena {
  readonly buffers: ArenaBuffers
  readonly #cells: Int32Array
  readonly #bytes: Buffer
  /** Thread + 1, as it stands in the lock; the main thread is -1. */
  readonly #self: number

  private constructor(buffers: ArenaBuffers, thread: number) {
    this.buffers = buffers
    this.#cells = new Int32Array(buffers.memory)
    this.#bytes = Buffer.from(buffers.memory)
    this.#self = thread + 1 || -1
  }

  static create(bytes: number = defaultBytes): SharedArena {
    const arena = new SharedArena({ memory: new SharedArrayBuffer(bytes) }, -1)
    arena.#cells[topCell] = firstBlock / unit
    return arena
  }

  /** @param thread index of the data thread that will use it */
  static attach(buffers: ArenaBuffers, thread: number): SharedArena {
    return new SharedArena(buffers, thread)
  }

  /** Bytes taken from the block so far, freed ones included. */
  get usedBytes(): number {
    return this.#cells[topCell] * unit
  }

  /**
   * The memory of the key: the same for every thread, zero-filled when it is first asked for.
   * @param owner slot of the backend whose leaving releases it, -1 for none
   * @throws MR_SHARED_SIZE, MR_SHARED_FULL
   */
  allocate(key: string, bytes: number, owner: number): Uint8Array<SharedArrayBuffer> {
    const wanted = pad8(bytes)
    const name = Buffer.from(key)
    const hash = hashOf(name)
    this.#lock()
    try {
      const found = this.#find(name, hash, owner)
      const offset = found || this.#add(name, hash, wanted, owner)
      const cell = offset >> 2
      const length = this.#cells[cell + block.dataBytes]
      if (length !== wanted) {
        const message = `shared memory '${key}' has ${length} bytes, ${wanted} were asked for`
        throw new MillraceError('MR_SHARED_SIZE', message)
      }
      return new Uint8Array(this.buffers.memory, offset + block.cells * 4 + pad8(name.length), wanted)
    } finally {
      this.#unlock()
    }
  }

  /** Releases the memory of backends that have left. No thread may use it any more. */
  releaseOwners(slots: ReadonlySet<number>): void {
    this.#release((cell) => slots.has(this.#cells[cell + block.owner]))
  }

  /** Releases every piece whose key is `gone`. */
  releaseKeys(gone: (key: string) => boolean): void {
    this.#release((cell) => {
      const start = (cell + block.cells) * 4
      return gone(this.#bytes.toString('utf8', start, start + this.#cells[cell + block.keyBytes]))
    })
  }

  /** Frees the lock if the thread, which is dead, held it. */
  breakLock(thread: number): void {
    if (Atomics.compareExchange(this.#cells, lockCell, thread + 1, 0) === thread + 1) {
      Atomics.notify(this.#cells, lockCell)
    }
  }

  #find(name: Buffer, hash: number, owner: number): number {
    const cells = this.#cells
    for (let at = cells[bucketCell + (hash & (buckets - 1))]; at !== 0; at = cells[(at * unit) >> 2]) {
      const cell = (at * unit) >> 2
      if (cells[cell + block.hash] !== hash || cells[cell + block.keyBytes] !== name.length) continue
      if (cells[cell + block.owner] !== owner) continue
      const key = at * unit + block.cells * 4
      if (name.equals(this.#bytes.subarray(key, key + name.length))) return at * unit
    }
    return 0
  }

  #add(name: Buffer, hash: number, dataBytes: number, owner: number): number {
    const cells = this.#cells
    const keyBytes = pad8(name.length)
    const sizeClass = classOf(block.cells * 4 + keyBytes + dataBytes)
    const at = this.#take(sizeClass, `${name}`)
    const cell = (at * unit) >> 2
    const data = at * unit + block.cells * 4 + keyBytes
    this.#bytes.set(name, at * unit + block.cells * 4)
    this.#bytes.fill(0, data, data + dataBytes)
    cells[cell + block.hash] = hash
    cells[cell + block.keyBytes] = name.length
    cells[cell + block.dataBytes] = dataBytes
    cells[cell + block.owner] = owner
    const bucket = bucketCell + (hash & (buckets - 1))
    cells[cell + block.next] = cells[bucket]
    cells[cell + block.live] = 1
    cells[bucket] = at
    return at * unit
  }

  /** A block of the class, off every list: from those that were freed, else from the end. */
  #take(sizeClass: number, key: string): number {
    const cells = this.#cells
    const freed = cells[freeCell + sizeClass]
    if (freed !== 0) {
      cells[freeCell + sizeClass] = cells[((freed * unit) >> 2) + block.next]
      return freed
    }
    const at = cells[topCell]
    const end = at + classUnits(sizeClass)
    if (end * unit > this.buffers.memory.byteLength) {
      const message = `no room for shared memory '${key}': all ${this.buffers.memory.byteLength} bytes are in use`
      throw new MillraceError('MR_SHARED_FULL', message)
    }
    const cell = (at * unit) >> 2
    cells[cell + block.sizeClass] = sizeClass
    cells[cell + block.live] = 0
    cells[topCell] = end
    return at
  }

  #release(matches: (cell: number) => boolean): void {
    const cells = this.#cells
    this.#lock()
    try {
      for (let at = firstBlock / unit; at < cells[topCell]; ) {
        const cell = (at * unit) >> 2
        const sizeClass = cells[cell + block.sizeClass]
        if (cells[cell + block.live] === 1 && matches(cell)) this.#free(at)
        at += classUnits(sizeClass)
      }
    } finally {
      this.#unlock()
    }
  }

  #free(at: number): void {
    const cells = this.#cells
    const cell = (at * unit) >> 2
    let link = bucketCell + (cells[cell + block.hash] & (buckets - 1))
    while (cells[link] !== at && cells[link] !== 0) link = ((cells[link] * unit) >> 2) + block.next
    if (cells[link] === at) cells[link] = cells[cell + block.next]
    cells[cell + block.live] = 0
    const head = freeCell + cells[cell + block.sizeClass]
    cells[cell + block.next] = cells[head]
    cells[head] = at
  }

  #lock(): void {
    // The lock is held for microseconds. A holder that keeps it this long was killed, and its end not yet noticed here.
    for (let tries = 0; tries < 5000; tries++) {
      if (Atomics.compareExchange(this.#cells, lockCell, 0, this.#self) === 0) return
      Atomics.wait(this.#cells, lockCell, Atomics.load(this.#cells, lockCell) || -2, 1)
    }
    Atomics.store(this.#cells, lockCell, this.#self)
  }

  #unlock(): void {
    Atomics.compareExchange(this.#cells, lockCell, this.#self, 0)
    Atomics.notify(this.#cells, lockCell)
  }
}

/** FNV-1a, 32 bits. */
function hashOf(bytes: Buffer): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash | 0
}
