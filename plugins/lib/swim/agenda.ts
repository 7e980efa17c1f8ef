/** What is to be done when, by name. Time comes from outside. */

interface Item {
  at: number
  readonly run: (now: number) => void
}

export class Agenda {
  readonly #items = new Map<string, Item>()

  /** Infinity: nothing. */
  get next(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { at } of this.#items.values()) if (at < next) next = at
    return next
  }

  /** Replaces what has the same name. */
  set(name: string, at: number, run: (now: number) => void): void {
    this.#items.set(name, { at, run })
  }

  /** Not later than this. */
  hasten(name: string, at: number): void {
    const item = this.#items.get(name)
    if (item && item.at > at) item.at = at
  }

  has(name: string): boolean {
    return this.#items.has(name)
  }

  cancel(name: string): void {
    this.#items.delete(name)
  }

  clear(): void {
    this.#items.clear()
  }

  /** As if the time had not passed. */
  shift(ms: number): void {
    for (const item of this.#items.values()) item.at += ms
  }

  /** Does what is due, the earliest first; each once, also when it puts itself on again for now. */
  run(now: number): void {
    const due = [...this.#items].filter(([, { at }]) => at <= now).sort(([, a], [, b]) => a.at - b.at)
    for (const [name, item] of due) {
      // Cancelled, or put off, by what was before it.
      if (this.#items.get(name) !== item) continue
      this.#items.delete(name)
      item.run(now)
    }
  }
}
