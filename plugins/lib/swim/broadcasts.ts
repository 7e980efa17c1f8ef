/** News that is still to be passed on (SWIM §4.1: infection-style dissemination). */
import { encodeUpdate, type Update } from './wire.ts'

interface Item {
  readonly text: string
  readonly bytes: number
  /** Of all that was added; later is newer. */
  readonly order: number
  sends: number
}

/** What waits to be passed on; beyond it the oldest gives way. All members and all news are fewer. */
export const mostItems = 10_000

export class Broadcasts {
  readonly #items = new Map<string, Item>()
  #added = 0

  /** @param key what it is about: newer news of the same replaces it */
  add(key: string, update: Update): void {
    const text = encodeUpdate(update)
    // To the end: the first is the oldest.
    this.#items.delete(key)
    this.#items.set(key, { text, bytes: Buffer.byteLength(text) + 1, order: ++this.#added, sends: 0 })
    if (this.#items.size > mostItems) this.#items.delete(this.#items.keys().next().value as string)
  }

  get size(): number {
    return this.#items.size
  }

  /**
   * What goes into one packet: what was sent least often first, the newest first among equals. What was sent `limit` times
   * is done.
   */
  take(room: number, limit: number): string[] {
    if (this.#items.size === 0) return []
    const inOrder = [...this.#items].sort(([, a], [, b]) => a.sends - b.sends || b.order - a.order)
    const taken: string[] = []
    let left = room
    for (const [key, item] of inOrder) {
      if (item.bytes > left) continue
      left -= item.bytes
      taken.push(item.text)
      item.sends++
      if (item.sends >= limit) this.#items.delete(key)
    }
    return taken
  }

  clear(): void {
    this.#items.clear()
  }
}
