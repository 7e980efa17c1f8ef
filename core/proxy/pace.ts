/** Long work on a data thread, done so that no request waits for it longer than a moment. */

/** Milliseconds that it may hold the event loop: less than a large answer takes to write. */
const longestMs = 2

export class Pace {
  readonly #now: () => number
  #since: number

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now
    this.#since = now()
  }

  /** The work has had the loop for long enough: await {@link nextTurn}. */
  isOver(): boolean {
    return this.#now() - this.#since >= longestMs
  }

  /** Resolves when everything that waited for the event loop has had its turn. */
  async nextTurn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.#since = this.#now()
  }
}
