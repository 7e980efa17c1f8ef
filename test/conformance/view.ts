/** Stand-ins for what the data thread gives an algorithm, as cheap as the real ones: plain fields, no closures. */
import type { Backend, BackendView, PickRequest } from '../../core/contracts/index.ts'

/** Backends as the host would make them; the object is the identity. */
export function numbered(count: number, weight: (index: number) => number = () => 1): Backend[] {
  return Array.from({ length: count }, (_, slot) => {
    const url = `http://10.0.${slot >>> 8}.${slot & 255}:80`
    return { url, id: `conformance/${url}`, weight: weight(slot), zone: '', tags: [], slot }
  })
}

export class View implements BackendView {
  readonly all: readonly Backend[]
  readonly available: readonly Backend[]
  readonly panic = false
  readonly table: Uint8Array<SharedArrayBuffer> | undefined
  /** In-flight counts by slot; may be shared between views. */
  readonly load: Int32Array
  readonly #alive: ReadonlySet<Backend>

  constructor(
    all: readonly Backend[],
    available: readonly Backend[],
    table: Uint8Array | undefined,
    load = new Int32Array(all.reduce((most, { slot }) => Math.max(most, slot), 0) + 1),
  ) {
    this.all = all
    this.available = available
    this.load = load
    this.#alive = new Set(available)
    if (table) {
      const shared = new Uint8Array(new SharedArrayBuffer(table.byteLength))
      shared.set(table)
      this.table = shared
    }
  }

  weight(backend: Backend): number {
    return backend.weight
  }

  inFlight(backend: Backend): number {
    return this.load[backend.slot]
  }

  isAvailable(backend: Backend): boolean {
    return this.#alive.has(backend)
  }
}

const hashes = 1024

/** A pick. The object is used again for the next one, as the host does. */
export class Request implements PickRequest {
  /** Whether the algorithm has asked for the hash. */
  read = false
  at = 0
  /** The one that is excluded, or those of a set. */
  out: Backend | undefined = undefined
  readonly others = new Set<Backend>()
  readonly #hashes: Uint32Array

  constructor(random: () => number) {
    this.#hashes = Uint32Array.from({ length: hashes }, () => Math.floor(random() * 2 ** 32))
  }

  get hash(): number {
    this.read = true
    return this.#hashes[this.at & (hashes - 1)]
  }

  /** The next exchange, with a key of its own. */
  next(random: () => number): this {
    this.at = (this.at + 1) & (hashes - 1)
    this.#hashes[this.at] = Math.floor(random() * 2 ** 32)
    return this
  }

  /** An exchange with this key. */
  key(hash: number): this {
    this.#hashes[this.at] = hash
    return this
  }

  excluded(backend: Backend): boolean {
    return backend === this.out || (this.others.size > 0 && this.others.has(backend))
  }
}
