/** Values by key, each for a time, and the most recently added so many of them. */
export class Recent<V> {
  readonly #entries = new Map<string, { readonly value: V; readonly untilMs: number }>()
  readonly #size: number

  constructor(size: number) {
    this.#size = size
  }

  get(key: string, nowMs: number): V | undefined {
    const found = this.#entries.get(key)
    if (found === undefined) return undefined
    if (found.untilMs > nowMs) return found.value
    this.#entries.delete(key)
    return undefined
  }

  set(key: string, value: V, untilMs: number): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, untilMs })
    if (this.#entries.size <= this.#size) return
    // The oldest: those that are in use are set again when their time is over.
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  clear(): void {
    this.#entries.clear()
  }
}
