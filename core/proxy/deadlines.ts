/**
 * All deadlines of a thread on one coarse wheel. Setting a deadline is, as a rule, one field write: an entry moves only when
 * its new deadline is earlier than the place where it hangs, and is put right when that place comes by.
 *
 * Time that the event loop lost does not count: whatever expires is decided after the next poll phase (`setImmediate`),
 * when bytes that were already waiting have been read, and a stall over one second stops the clock of the wheel.
 */
import type { Clock, Timer } from '../contracts/plugin.ts'

/** Something that can time out. Each has one deadline at a time. */
export abstract class Deadline {
  /** Tick at which it expires; 0 = none. */
  dueTick = 0
  /** Tick at whose place it hangs; 0 = in no list. */
  hungTick = 0
  wheelNext: Deadline | undefined = undefined
  wheelPrevious: Deadline | undefined = undefined
  abstract onDeadline(): void
}

/** Anchor of a slot's ring. */
class Anchor extends Deadline {
  override wheelNext: Deadline = this
  override wheelPrevious: Deadline = this
  onDeadline(): void {}
}

export const tickMs = 50
const slots = 1024
const stallMs = 1000

export class DeadlineWheel {
  /** Current tick; starts at 1 so that 0 can mean none. */
  now = 1
  readonly #slots = Array.from({ length: slots }, () => new Anchor())
  readonly #clock: Clock
  readonly #timer: Timer
  readonly #onStall: (ms: number) => void
  readonly #onTick: (() => void) | undefined
  #last: number
  #behind = 0
  #done = 1
  #pending = false

  constructor(clock: Clock, onStall: (ms: number) => void, onTick?: () => void) {
    this.#clock = clock
    this.#onStall = onStall
    this.#onTick = onTick
    this.#last = clock.now()
    this.#timer = clock.every(tickMs, () => this.#tick())
  }

  stop(): void {
    this.#timer.cancel()
  }

  /** HOT Expires `ms` from now, up to two ticks late, never early. Replaces the entry's earlier deadline; 0 = none. */
  set(entry: Deadline, ms: number): void {
    if (ms <= 0) {
      entry.dueTick = 0
      return
    }
    const due = this.now + 1 + Math.ceil(ms / tickMs)
    entry.dueTick = due
    if (entry.hungTick === 0) this.#hang(entry, due)
    else if (due < entry.hungTick) {
      this.#unhang(entry)
      this.#hang(entry, due)
    }
  }

  /** HOT */
  clear(entry: Deadline): void {
    entry.dueTick = 0
  }

  /** Takes an entry that will never be used again out of the wheel. */
  remove(entry: Deadline): void {
    entry.dueTick = 0
    if (entry.hungTick !== 0) this.#unhang(entry)
  }

  #hang(entry: Deadline, tick: number): void {
    // Farther than the wheel reaches: hang it at the farthest place, from where it is hung on again.
    const place = Math.min(tick, this.now + slots - 2)
    entry.hungTick = place
    const anchor = this.#slots[place % slots]
    entry.wheelPrevious = anchor.wheelPrevious
    entry.wheelNext = anchor
    anchor.wheelPrevious.wheelNext = entry
    anchor.wheelPrevious = entry
  }

  #unhang(entry: Deadline): void {
    entry.wheelPrevious!.wheelNext = entry.wheelNext
    entry.wheelNext!.wheelPrevious = entry.wheelPrevious
    entry.wheelNext = undefined
    entry.wheelPrevious = undefined
    entry.hungTick = 0
  }

  #tick(): void {
    const time = this.#clock.now()
    const elapsed = time - this.#last
    this.#last = time
    if (elapsed > stallMs) {
      this.#onStall(elapsed)
      this.now++
    } else {
      this.#behind += elapsed
      const ticks = Math.floor(this.#behind / tickMs)
      this.#behind -= ticks * tickMs
      this.now += ticks
    }
    this.#onTick?.()
    if (this.#pending) return
    this.#pending = true
    setImmediate(() => {
      this.#pending = false
      this.#expire()
    })
  }

  #expire(): void {
    while (this.#done < this.now) {
      this.#done++
      const anchor = this.#slots[this.#done % slots]
      // The list is taken off first: what a handler sets anew must not be met in this round.
      const due: Deadline[] = []
      for (let entry = anchor.wheelNext; entry !== anchor; entry = anchor.wheelNext) {
        this.#unhang(entry)
        due.push(entry)
      }
      for (const entry of due) {
        if (entry.dueTick === 0 || entry.hungTick !== 0) continue
        if (entry.dueTick > this.#done) this.#hang(entry, entry.dueTick)
        else {
          entry.dueTick = 0
          entry.onDeadline()
        }
      }
    }
  }
}
