/** Tells the first of what is repeated at once, and of the others one in 10 s, with how many they were. */
import type { RawClock, RawTimer } from '../host/clock.ts'

const tellEveryMs = 10_000
/** Kinds that are counted at a time; further ones are counted as one. */
const mostKinds = 256

interface Window<T> {
  count: number
  newest: T | undefined
  timer: RawTimer
}

export class Repeats<T> {
  readonly #clock: Pick<RawClock, 'after'>
  readonly #tell: (newest: T, count: number) => void
  #closed = false
  readonly #windows = new Map<string, Window<T>>()

  /** @param tell the newest since it was told last, and how many they were */
  constructor(clock: Pick<RawClock, 'after'>, tell: (newest: T, count: number) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** @param kind what it is a repeat of */
  add(kind: string, item: T): void {
    if (this.#closed) {
      this.#tell(item, 1)
      return
    }
    const isKnown = this.#windows.has(kind) || this.#windows.size < mostKinds
    const key = isKnown ? kind : ''
    const open = this.#windows.get(key)
    if (open) {
      open.count++
      open.newest = item
      return
    }
    this.#windows.set(key, { count: 0, newest: undefined, timer: this.#later(key) })
    this.#tell(item, 1)
  }

  /** What was counted is told; what comes later is told at once, and leaves no timer. */
  close(): void {
    this.#closed = true
    for (const { timer, newest, count } of this.#windows.values()) {
      timer.cancel()
      if (newest !== undefined) this.#tell(newest, count)
    }
    this.#windows.clear()
  }

  #later(key: string): RawTimer {
    return this.#clock.after(tellEveryMs, () => this.#end(key))
  }

  #end(key: string): void {
    const window = this.#windows.get(key)
    if (!window) return
    const { newest, count } = window
    if (newest === undefined) {
      this.#windows.delete(key)
      return
    }
    this.#windows.set(key, { count: 0, newest: undefined, timer: this.#later(key) })
    this.#tell(newest, count)
  }
}
