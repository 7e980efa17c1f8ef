/** What was heard of whom: no message is taken twice, however late, doubled or out of order it comes. */

export type SenderProblem =
  /** Heard before, or so far behind that it may have been. */
  | 'replayed'
  /** Of a start of its sender that another start has followed. */
  | 'superseded'
  /** The first of a start that was not heard before, and not of now: the clocks differ, or it was recorded. */
  | 'stale'

export interface Stamp {
  readonly from: string
  readonly boot: string
  /** When this start of the sender began, and when it sent this: wall clock, milliseconds. */
  readonly began: number
  readonly counter: number
  readonly sent: number
}

/** Nodes that are remembered, some 300 bytes each; the one silent for longest is forgotten first. */
const remembered = 10_000
/** Counters behind the newest of which it is known whether they were heard (RFC 4303 §3.4.3 has 32 at least). */
const windowSize = 1024
const everything = (1n << BigInt(windowSize)) - 1n
/** How far the wall clocks of a fleet may differ. */
const toleranceMs = 5 * 60_000

/** One start of a node. */
class Start {
  readonly boot: string
  readonly began: number
  /** The counter that was heard first. */
  readonly first: number
  heardAt = 0
  #newest: number
  /** Bit n: the counter that is n behind the newest was heard. */
  #heard = 0n

  constructor({ boot, began, counter }: Stamp) {
    this.boot = boot
    this.began = began
    this.first = counter
    this.#newest = counter - 1
  }

  isNew(counter: number): boolean {
    const ahead = counter - this.#newest
    if (ahead > 0) {
      this.#heard = ahead >= windowSize ? 1n : ((this.#heard << BigInt(ahead)) | 1n) & everything
      this.#newest = counter
      return true
    }
    if (-ahead >= windowSize) return false
    const bit = 1n << BigInt(-ahead)
    if ((this.#heard & bit) !== 0n) return false
    this.#heard |= bit
    return true
  }
}

/**
 * One start of each node is heard: the one that began last. What an earlier start has sent is dropped from then on. A node whose
 * clock was set back, so that its new start seems to be the earlier one, is heard again when the other has been silent for
 * {@link toleranceMs}: nothing that the other has sent passes for new by then.
 *
 * The first message of a start must be of now, by the wall clock; from then on counters alone decide. So what was recorded
 * earlier cannot be replayed to a node that has just started and knows nobody. What comes after the first and was sealed before it
 * is out of order, and new; but not if it was sent before this node began: then an earlier start of it may have heard it.
 */
export class Senders {
  readonly #began: number
  readonly #starts = new Map<string, Start>()

  /** @param began when this node did: wall clock, milliseconds */
  constructor(began: number) {
    this.#began = began
  }

  /** Undefined: it is new. */
  take(stamp: Stamp, nowWall: number): SenderProblem | undefined {
    const known = this.#starts.get(stamp.from)
    let start = known
    if (!known || known.boot !== stamp.boot || known.began !== stamp.began) {
      if (Math.abs(nowWall - stamp.sent) > toleranceMs) return 'stale'
      if (known && stamp.began <= known.began && nowWall - known.heardAt <= toleranceMs) return 'superseded'
      start = new Start(stamp)
    }
    if (!start || (stamp.counter < start.first && stamp.sent < this.#began)) return 'replayed'
    if (!start.isNew(stamp.counter)) return 'replayed'
    start.heardAt = nowWall
    this.#starts.delete(stamp.from)
    this.#starts.set(stamp.from, start)
    if (this.#starts.size > remembered) this.#starts.delete(this.#starts.keys().next().value as string)
    return undefined
  }
}
