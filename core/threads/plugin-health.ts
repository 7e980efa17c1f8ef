/**
 * How well plugins do: their faults of the last minute, and the crashes of data threads that their code
 * has caused. A version of code that ends threads again and again is barred: it is not loaded any more while this process
 * lives. What can be mended by loading something else is `apply.ts`'s.
 */
import type { Clock, PluginKind } from '../contracts/plugin.ts'
import type { LoadedPlugin } from '../host/registry.ts'
import type { FaultCount } from './fault-report.ts'

/** So many faults within the window make a plugin unhealthy; it is healthy again when fewer are left in it. */
export const unhealthyFaults = 10
export const faultWindowMs = 60_000
/** So many crashes within the window bar a version of code. With one a window a thread would still be lost every few minutes. */
export const barredCrashes = 3
export const crashWindowMs = 300_000

export interface PluginState {
  readonly kind: PluginKind
  readonly plugin: string
  /** Since the process started. */
  readonly faults: number
  /** Within the window. */
  readonly recent: number
  /** Throws outside of any hook since the process started: each has ended a data thread, or its instances on the main thread. */
  readonly crashes: number
  readonly healthy: boolean
  /** What serves in its place, and why. */
  readonly instead: string | undefined
  /** The last fault: hook and what was thrown. */
  readonly last: string
}

/** Why a version of code is not loaded. */
export interface Bar {
  readonly crashes: number
  /** What was thrown the last time. */
  readonly message: string
}

type Book = {
  readonly kind: PluginKind
  readonly plugin: string
  faults: number
  crashes: number
  last: string
  /** Faults by the second in which they came, oldest first. */
  seconds: { at: number; count: number }[]
}

export class PluginHealth {
  readonly #clock: Pick<Clock, 'now'>
  readonly #books = new Map<string, Book>()
  /** Version of code → when it ended a thread. */
  readonly #crashes = new Map<string, number[]>()
  readonly #bars = new Map<string, Bar>()

  readonly #instead: (kind: PluginKind, plugin: string) => string | undefined

  /** @param instead says what serves in the place of a plugin; undefined: itself */
  constructor(
    clock: Pick<Clock, 'now'>,
    instead: (kind: PluginKind, plugin: string) => string | undefined = () => undefined,
  ) {
    this.#clock = clock
    this.#instead = instead
  }

  faulted({ kind, plugin, count, hook, message }: FaultCount): void {
    const book = this.#book(kind, plugin)
    book.faults += count
    book.last = message ? `${hook}: ${message}` : hook
    const at = Math.floor(this.#clock.now() / 1000) * 1000
    const latest = book.seconds.at(-1)
    if (latest?.at === at) latest.count += count
    else book.seconds.push({ at, count })
    this.#forget(book)
  }

  /**
   * The code of the plugin has ended a data thread.
   * @returns true when that bars this version of it
   */
  crashed(loaded: LoadedPlugin, message: string): boolean {
    this.threwOutside(loaded, message)
    if (loaded.source === 'built-in' || this.bar(loaded)) return false
    const now = this.#clock.now()
    const version = versionOf(loaded)
    const recent = [...(this.#crashes.get(version) ?? []), now].filter((at) => at > now - crashWindowMs)
    this.#crashes.set(version, recent)
    if (recent.length < barredCrashes) return false
    this.#crashes.delete(version)
    this.#bars.set(version, { crashes: recent.length, message })
    return true
  }

  /** Its code threw outside of any hook: that has ended a data thread, or its instances on the main thread. */
  threwOutside({ definition: { kind, name } }: LoadedPlugin, message: string): void {
    this.#book(kind, name).crashes++
    this.faulted({ kind, plugin: name, count: 1, hook: 'outside of any hook', message })
  }

  /** Why this version is not to be loaded; undefined: it may be. */
  bar(loaded: LoadedPlugin): Bar | undefined {
    return this.#bars.get(versionOf(loaded))
  }

  /** Every plugin that was ever at fault. */
  states(): PluginState[] {
    return [...this.#books.values()].map((book) => {
      this.#forget(book)
      const recent = book.seconds.reduce((sum, { count }) => sum + count, 0)
      const { kind, plugin, faults, crashes, last } = book
      const instead = this.#instead(kind, plugin)
      const healthy = recent < unhealthyFaults && instead === undefined
      return { kind, plugin, faults, recent, crashes, last, instead, healthy }
    })
  }

  #book(kind: PluginKind, plugin: string): Book {
    const key = `${kind} ${plugin}`
    let book = this.#books.get(key)
    if (!book) {
      book = { kind, plugin, faults: 0, crashes: 0, last: '', seconds: [] }
      this.#books.set(key, book)
    }
    return book
  }

  #forget(book: Book): void {
    const from = this.#clock.now() - faultWindowMs
    while (book.seconds.length > 0 && book.seconds[0].at + 1000 <= from) book.seconds.shift()
  }
}

function versionOf({ definition, hash }: LoadedPlugin): string {
  return `${definition.kind} ${definition.name} ${hash}`
}
