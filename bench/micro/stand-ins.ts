/** Stand-ins for what the data thread gives a plugin, as cheap as the real ones: plain fields, no closures. */
import type { Backend, Clock, PickRequest } from 'millrace'
import { FakeView } from '../fixtures/view.ts'

const hashes = 1024

export class PickInput implements PickRequest {
  /** Read only by algorithms that hash: half of them are beyond int32, and interpreted code boxes those. */
  readonly #hashes: Uint32Array
  /** Which hash it is. */
  at = 0
  /** The one backend that is excluded. */
  out: Backend | undefined = undefined

  constructor(random: () => number) {
    this.#hashes = Uint32Array.from({ length: hashes }, () => Math.floor(random() * 2 ** 32))
  }

  get hash(): number {
    return this.#hashes[this.at & (hashes - 1)]
  }

  excluded(backend: Backend): boolean {
    return backend === this.out
  }
}

/** In-flight counts as the shared table's: one typed row for each of two threads. */
export class TableView extends FakeView {
  /** The row that this thread writes. */
  readonly own = new Int32Array(this.all.length)
  readonly #rows = [this.own, Int32Array.from(this.all, (_, slot) => slot % 3)]

  override inFlight(backend: Backend): number {
    let sum = 0
    for (let thread = 0; thread < this.#rows.length; thread++) sum += this.#rows[thread][backend.slot]
    return sum
  }
}

/** Real time, as reading it is part of the cost; its timers never fire, as the loop that is measured gives them no turn. */
export const timerless: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after: () => ({ cancel() {} }),
  every: () => ({ cancel() {} }),
}
