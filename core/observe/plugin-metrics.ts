/**
 * Metrics of plugin instances. Each thread has a row that it alone writes: values, and a directory of JSON lines that says
 * what each value is. So `add` is a plain store, no thread waits for another, and a thread's successor finds its
 * predecessor's values again. The main thread has the last row, for the plugins that run there.
 *
 * When a use has left the config, the main thread marks its values as given up (`release`). The row's own thread takes
 * their room back when it has none left: it writes the directory anew into the other half and publishes it by one store,
 * so that a reader, or the successor of a thread that was killed meanwhile, sees the old one or the new one.
 */
import type { Counter, Gauge, Metrics } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import type { MetricsBuffers } from './thread-metrics.ts'

/** Values of one thread, over all plugins. */
const capacity = 4096
/** Names and help texts of them, twice; memory that is not written costs nothing. */
const directoryBytes = 1 << 20
const headerBytes = 64

/** Bytes of one thread's row. */
export const pluginRowBytes = headerBytes + capacity * 12 + directoryBytes * 2

/** The published word: where the directory ends (21 bits), its half (1 bit), how often it was written anew (9 bits). */
const endBits = 21
const endMask = (1 << endBits) - 1
/** What differs between two directories. */
const versionOf = (word: number): number => word >>> endBits
const halfOf = (word: number): number => (word >>> endBits) & 1
const nextVersion = (version: number): number => ((((version >>> 1) + 1) & 0x1ff) << 1) | ((version & 1) ^ 1)

type MetricKind = 'counter' | 'gauge'

interface DirectoryEntry {
  readonly name: string
  readonly kind: MetricKind
  readonly plugin: string
  /** `context.id` of the instance. */
  readonly use: string
  readonly help: string
}

/** A metric of a plugin, summed over threads. */
export interface PluginSample extends DirectoryEntry {
  readonly value: number
}

const keyOf = (entry: DirectoryEntry): string => JSON.stringify([entry.name, entry.plugin, entry.use])

/** One thread's values and directory. */
class Row {
  readonly values: Float64Array
  /** By the index of their value. */
  readonly entries = new Map<number, DirectoryEntry>()
  /** By value: 1 = nobody uses it any more; written by the main thread. */
  readonly #given: Int32Array
  readonly #header: Int32Array
  readonly #halves: readonly Uint8Array[]
  /** What was read, or published last. */
  #word = 0

  constructor(memory: SharedArrayBuffer, row: number) {
    const offset = row * pluginRowBytes
    const directory = offset + headerBytes + capacity * 12
    this.#header = new Int32Array(memory, offset, 1)
    this.values = new Float64Array(memory, offset + headerBytes, capacity)
    this.#given = new Int32Array(memory, offset + headerBytes + capacity * 8, capacity)
    this.#halves = [0, 1].map(
      (half) => new Uint8Array(memory, directory + half * directoryBytes, directoryBytes),
    )
  }

  /** Reads what was added to the directory since the last call. */
  refresh(): void {
    for (;;) {
      const word = Atomics.load(this.#header, 0)
      if (word === this.#word) return
      const same = versionOf(word) === versionOf(this.#word)
      const bytes = this.#halves[halfOf(word)].slice(same ? this.#word & endMask : 0, word & endMask)
      // Written anew twice while it was read: what was read may be torn.
      if (versionOf(Atomics.load(this.#header, 0)) !== versionOf(word)) continue
      if (!same) this.entries.clear()
      for (const line of Buffer.from(bytes).toString().trimEnd().split('\n')) {
        if (line === '') continue
        const [index, entry] = JSON.parse(line) as [number, DirectoryEntry]
        this.entries.set(index, entry)
      }
      this.#word = word
      return
    }
  }

  /** The directory is still the one that was read. */
  get current(): boolean {
    return Atomics.load(this.#header, 0) === this.#word
  }

  isGivenUp(index: number): boolean {
    return Atomics.load(this.#given, index) === 1
  }

  giveUp(index: number): void {
    Atomics.store(this.#given, index, 1)
  }

  /** Only for the row's own thread. False when there is no room. */
  append(index: number, entry: DirectoryEntry): boolean {
    const line = lineOf(index, entry)
    const begin = this.#word & endMask
    if (begin + line.length > directoryBytes) return false
    this.values[index] = 0
    Atomics.store(this.#given, index, 0)
    this.#halves[halfOf(this.#word)].set(line, begin)
    this.entries.set(index, entry)
    this.#publish(versionOf(this.#word), begin + line.length)
    return true
  }

  /** Only for the row's own thread: writes the directory anew without what was given up, whose indices it returns. */
  compact(): number[] {
    const over = [...this.entries.keys()].filter((index) => this.isGivenUp(index))
    if (over.length === 0) return over
    for (const index of over) this.entries.delete(index)
    const version = nextVersion(versionOf(this.#word))
    const half = this.#halves[version & 1]
    let end = 0
    for (const [index, entry] of this.entries) {
      const line = lineOf(index, entry)
      half.set(line, end)
      end += line.length
    }
    this.#publish(version, end)
    return over
  }

  /** Published last: whoever sees the new word sees the whole line. */
  #publish(version: number, end: number): void {
    this.#word = (version << endBits) | end
    Atomics.store(this.#header, 0, this.#word)
  }
}

const lineOf = (index: number, entry: DirectoryEntry): Buffer =>
  Buffer.from(`${JSON.stringify([index, entry])}\n`)

/** The row of one thread, as plugins are given it. */
export class PluginMetrics {
  readonly #row: Row
  readonly #indices = new Map<string, number>()
  /** Indices that nothing stands for. */
  readonly #free: number[] = []

  private constructor(buffers: MetricsBuffers, thread: number) {
    this.#row = new Row(buffers.plugins, thread)
    this.#row.refresh()
    for (const [index, entry] of this.#row.entries) this.#indices.set(keyOf(entry), index)
    for (let index = capacity - 1; index >= 0; index--)
      if (!this.#row.entries.has(index)) this.#free.push(index)
  }

  /** @param thread index of the data thread; the number of data threads for the main thread's row */
  static attach(buffers: MetricsBuffers, thread: number): PluginMetrics {
    return new PluginMetrics(buffers, thread)
  }

  /**
   * The metrics of one plugin instance.
   * @param use `context.id`
   */
  of(use: string, plugin: string): Metrics {
    const values = this.#row.values
    return {
      counter: (name, help): Counter => {
        const index = this.#index({ name, kind: 'counter', plugin, use, help })
        return {
          // HOT
          add(by = 1) {
            if (by > 0) values[index] += by
          },
        }
      },
      gauge: (name, help): Gauge => {
        const index = this.#index({ name, kind: 'gauge', plugin, use, help })
        return {
          // HOT
          set(value) {
            values[index] = value
          },
        }
      },
    }
  }

  #index(entry: DirectoryEntry): number {
    const { name, kind, plugin, use } = entry
    if (!/^[a-z][a-z0-9_]*$/.test(name)) {
      throw new MillraceError(
        'MR_PLUGIN_CREATE',
        `metric name ${JSON.stringify(name)} is not [a-z][a-z0-9_]*`,
        { plugin },
      )
    }
    const known = this.#indices.get(keyOf(entry))
    const there = known !== undefined && !this.#row.isGivenUp(known) && this.#row.entries.get(known)
    if (!there) return this.#add(entry)
    if (there.kind !== kind) {
      const message = `metric ${name} of ${use} is a ${there.kind}, asked for as a ${kind}`
      throw new MillraceError('MR_PLUGIN_CREATE', message, { plugin })
    }
    return known
  }

  #add(entry: DirectoryEntry): number {
    const index = this.#append(entry) ?? (this.#reclaim() ? this.#append(entry) : undefined)
    if (index === undefined) {
      const { name, plugin, use } = entry
      const message = `no room for metric ${name} of ${use}: plugins have ${this.#row.entries.size} already`
      throw new MillraceError('MR_SHARED_FULL', message, { plugin })
    }
    this.#indices.set(keyOf(entry), index)
    return index
  }

  #append(entry: DirectoryEntry): number | undefined {
    const index = this.#free.at(-1)
    if (index === undefined || !this.#row.append(index, entry)) return undefined
    return this.#free.pop()
  }

  /** Takes back what was given up; false when there is nothing. */
  #reclaim(): boolean {
    const over = this.#row.compact()
    this.#free.push(...over)
    const gone = new Set(over)
    for (const [key, index] of this.#indices) if (gone.has(index)) this.#indices.delete(key)
    return over.length > 0
  }
}

/** Reads all rows, on the main thread. */
export class PluginMetricsReader {
  readonly #rows: readonly Row[]

  constructor(buffers: MetricsBuffers) {
    this.#rows = Array.from({ length: buffers.shape.threads + 1 }, (_, row) => new Row(buffers.plugins, row))
  }

  /** Every metric of every use that the config still has, summed over threads. */
  samples(): PluginSample[] {
    const sums = new Map<string, DirectoryEntry & { value: number }>()
    for (const row of this.#rows) {
      for (const [entry, value] of readRow(row)) {
        const sum = sums.get(keyOf(entry))
        if (sum) sum.value += value
        else sums.set(keyOf(entry), { ...entry, value })
      }
    }
    return [...sums.values()]
  }

  /** The thread of a row has ended: what it said of the moment is over. What it counted stays. */
  clearGauges(row: number): void {
    this.#rows[row].refresh()
    for (const [index, { kind }] of this.#rows[row].entries)
      if (kind === 'gauge') this.#rows[row].values[index] = 0
  }

  /** Gives up the metrics of uses that are `gone`. No instance of theirs runs any more. */
  release(gone: (plugin: string, use: string) => boolean): void {
    for (const row of this.#rows) {
      row.refresh()
      for (const [index, { plugin, use }] of row.entries) if (gone(plugin, use)) row.giveUp(index)
    }
  }
}

/** Names and values that belong together, although the row's thread may write its directory anew meanwhile. */
function readRow(row: Row): (readonly [DirectoryEntry, number])[] {
  for (;;) {
    row.refresh()
    const read: (readonly [DirectoryEntry, number])[] = []
    for (const [index, entry] of row.entries) if (!row.isGivenUp(index)) read.push([entry, row.values[index]])
    if (row.current) return read
  }
}
