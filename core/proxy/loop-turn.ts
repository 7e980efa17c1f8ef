/** What is done once in a turn of the event loop for everything that happens in it: one reading of the clock, and the
 * writes at its end. */
import type { HoldsBack } from './stream.ts'

export class LoopTurn {
  readonly #clock: () => number
  #streams: HoldsBack[] = []
  /** The empty list that changes places with it. */
  #spare: HoldsBack[] = []
  /** When this turn read first; 0 = it has not. */
  #startMs = 0
  #endAwaited = false

  /** @param clock monotonic milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  // HOT
  /**
   * The time for what this turn reads: when it began to. Bytes that stand behind others in the turn were there then, so their
   * wait counts as ours; and the clock is read once for all of them.
   */
  now(): number {
    if (this.#startMs === 0) {
      this.#startMs = this.#clock()
      if (!this.#endAwaited) this.#awaitEnd()
    }
    return this.#startMs
  }

  // HOT
  /** Flushes a stream at the end of this turn, should nothing else do it before. */
  flushSoon(stream: HoldsBack): void {
    const streams = this.#streams
    if (streams[streams.length - 1] === stream) return
    streams.push(stream)
    if (!this.#endAwaited) this.#awaitEnd()
  }

  #awaitEnd(): void {
    this.#endAwaited = true
    setImmediate(this.#end)
  }

  // HOT
  /** Writes are alike, so two readings of the clock do for all of them: each gets its share of the time between. */
  readonly #end = (): void => {
    this.#endAwaited = false
    this.#startMs = 0
    const streams = this.#streams
    if (streams.length === 0) return
    this.#streams = this.#spare
    this.#spare = streams
    const start = this.#clock()
    for (let i = 0; i < streams.length; i++) streams[i].flushTurn()
    const each = (this.#clock() - start) / streams.length
    for (let i = 0; i < streams.length; i++) streams[i].written(start + each * (i + 1))
    streams.length = 0
    // Those who were told may have read on: what comes next belongs to another turn.
    this.#startMs = 0
  }
}
