import type { Clock } from 'millrace'
import { SharedTime } from './shared-time.ts'

/** Places that a key may stand in; two cache lines. */
const ways = 8
/** Int32 cells of a key: its tag, and when its bucket will be full again. */
const cells = 2
/** [0] seed of the hashes, the same for all threads. */
const headCells = 16

/** Ticks that the time to fill an empty bucket may take: an eighth of what 32 bits can tell apart. */
const maxFillTicks = 2 ** 28
/** The finest tick: 32 bits of it are a minute, which the sweep must be well within. */
const finestTickMs = 60_000 / 2 ** 32
const tickStep = 16

/** Bytes of shared memory for so many keys. */
export const rateTableBytes = (keys: number): number => headCells * 4 + keys * cells * 4

/** Numbers of a limit in ticks of the table. `scale` names the tick: limits of one scale can take over each other's counts. */
export interface RateScale {
  readonly scale: number
  readonly tickMs: number
  /** Ticks in which one token comes. */
  readonly tokenTicks: number
  readonly burst: number
}

/** @param perSecond tokens that come in a second */
export function rateScale(perSecond: number, burst: number): RateScale {
  const fillMs = (burst / perSecond) * 1000
  let scale = 0
  let tickMs = finestTickMs
  while (fillMs / tickMs > maxFillTicks) {
    tickMs *= tickStep
    scale++
  }
  return { scale, tickMs, tokenTicks: Math.max(1, Math.round(fillMs / tickMs / burst)), burst }
}

/**
 * Token buckets by key, in memory that all threads share. A bucket is one number: the time at which it will be full again
 * (the generic cell rate algorithm, ITU-T I.371 annex A). A token taken moves that time on; a request is refused if it would
 * come to lie further ahead than an empty bucket takes to fill. So tokens come back by time alone, and one compare-and-set
 * takes one, in whatever thread.
 *
 * The memory is fixed. A key stands in one of 8 places of its set. Full buckets need no place: they are taken over, and
 * given back by {@link RateTable.sweep}. Where all 8 are in use by others, the fullest bucket gives way, and its key starts
 * again with a full one: too many keys let through too much, never too little. Two keys of equal hash (64 bits less what
 * the set takes; the seed is random) share a bucket. A token may be lost or given twice where a place changes hands.
 */
export class RateTable {
  readonly #cells: Int32Array
  readonly #setMask: number
  readonly #time: SharedTime
  #tickMs: number
  #tokenTicks: number
  #fillTicks: number
  /** [0] tokens left after the last `take`; [1] ticks until the last refused one could pass. */
  readonly #last = new Int32Array(2)

  /** @param keys a power of two, 8 at least */
  constructor(memory: Uint8Array, keys: number, scale: RateScale, clock: Clock, random: () => number) {
    this.#cells = new Int32Array(memory.buffer, memory.byteOffset, headCells + keys * cells)
    this.#setMask = keys / ways - 1
    this.#time = new SharedTime(clock)
    this.#tickMs = scale.tickMs
    this.#tokenTicks = scale.tokenTicks
    this.#fillTicks = scale.tokenTicks * scale.burst
    Atomics.compareExchange(this.#cells, 0, 0, Math.floor(random() * 2 ** 31) + 1)
  }

  get seed(): number {
    return this.#cells[0]
  }

  /** A limit of the same scale. */
  adopt(scale: RateScale): void {
    this.#tickMs = scale.tickMs
    this.#tokenTicks = scale.tokenTicks
    this.#fillTicks = scale.tokenTicks * scale.burst
  }

  /** Tokens left after the last `take`. */
  get left(): number {
    return this.#last[0]
  }

  /** Milliseconds until the next token; 0 where one is there. For the key of the last `take`. */
  get waitMs(): number {
    return this.#last[1] * this.#tickMs
  }

  /** Milliseconds until a bucket with so many tokens left is full. */
  fillMs(left: number): number {
    return Math.max(0, this.#fillTicks - left * this.#tokenTicks) * this.#tickMs
  }

  // HOT
  /** Takes a token of the key's bucket; false where there is none. */
  take(setHash: number, tagHash: number): boolean {
    const set = headCells + (setHash & this.#setMask) * ways * cells
    const tag = tagHash | 1
    const now = this.#time.interval(this.#tickMs)
    for (;;) {
      const at = this.#place(set, tag, now)
      const full = Atomics.load(this.#cells, at + 1)
      const ahead = this.#ahead(full, now)
      if (ahead > this.#fillTicks) {
        // Emptier than empty: the wall clock was set back, or the limit was a wider one. Nobody waits longer than for all.
        Atomics.compareExchange(this.#cells, at + 1, full, (now + this.#fillTicks) | 0)
        continue
      }
      const next = ahead + this.#tokenTicks
      if (next > this.#fillTicks) {
        this.#last[0] = 0
        this.#last[1] = next - this.#fillTicks
        return false
      }
      if (Atomics.compareExchange(this.#cells, at + 1, full, (now + next) | 0) !== full) continue
      this.#last[0] = Math.floor((this.#fillTicks - next) / this.#tokenTicks)
      this.#last[1] = 0
      return true
    }
  }

  // HOT
  /** Ticks until the bucket is full, 0 where it is. Further ahead than any can be: long past, or the wall clock was set far back. */
  #ahead(full: number, now: number): number {
    const ahead = (full - now) | 0
    return ahead <= 0 || ahead > maxFillTicks * 2 ? 0 : ahead
  }

  // HOT
  /** Where the key stands; it is given a place if it has none. */
  #place(set: number, tag: number, now: number): number {
    const table = this.#cells
    for (;;) {
      let best = set
      let least = Number.MAX_SAFE_INTEGER
      for (let at = set; at < set + ways * cells; at += cells) {
        const held = Atomics.load(table, at)
        if (held === tag) return at
        const ahead = held === 0 ? -1 : this.#ahead(table[at + 1], now)
        if (ahead >= least) continue
        least = ahead
        best = at
      }
      const held = table[best]
      if (held === tag) return best
      if (Atomics.compareExchange(table, best, held, tag) !== held) continue
      Atomics.store(table, best + 1, now)
      return best
    }
  }

  /** How often {@link RateTable.sweep} must run, in milliseconds: an eighth of the time after which times come round. */
  get sweepMs(): number {
    return Math.min(this.#tickMs * 2 ** 29, 2 ** 31 - 1)
  }

  /** Gives back the places of full buckets, before their times come round and look like ones that lie ahead. */
  sweep(): void {
    const table = this.#cells
    this.#time.sync()
    const now = this.#time.interval(this.#tickMs)
    for (let at = headCells; at < table.length; at += cells) {
      const held = table[at]
      if (held !== 0 && this.#ahead(table[at + 1], now) === 0) Atomics.compareExchange(table, at, held, 0)
    }
  }

  /** Brings the clock in line with the wall's, as all threads must. */
  sync(): void {
    this.#time.sync()
  }
}
