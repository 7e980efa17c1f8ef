/** Lets so many run at one time, so many wait in order, and turns away the rest. */
export class Gate {
  readonly #running: number
  readonly #waiting: number
  readonly #queue: (() => void)[] = []
  #active = 0

  constructor(running: number, waiting: number) {
    this.#running = running
    this.#waiting = waiting
  }

  /** @returns undefined where too many wait */
  async run<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#active >= this.#running) {
      if (this.#queue.length >= this.#waiting) return undefined
      // Who leaves hands its place on.
      await new Promise<void>((resolve) => this.#queue.push(resolve))
    } else this.#active++
    try {
      return await work()
    } finally {
      const next = this.#queue.shift()
      if (next) next()
      else this.#active--
    }
  }
}
