/**
 * Metrics of plugin instances. Each thread has a row that it alone writes: values, and a directory of JSON lines that only
 * grows and says what each value is. So `add` is a plain store, no thread waits for another, and a thread's successor finds
 * its predecessor's values again. The main thread has the last row, for the plugins that run there.
 */
import type { Counter, Gauge, Metrics } from '../contracts/plugin.ts'
import { MillraceError } from '../host/errors.ts'
import type { MetricsBuffers } from './thread-metrics.ts'

/** Values of one thread, over all plugins. */
const capacity = 4096
/** Names and help texts of them; memory that is not written costs nothing. */
const directoryBytes = 1 << 20
const headerBytes = 64

/** Bytes of one thread's row. */
export const pluginRowBytes = headerBytes + capacity * 8 + directoryBytes

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
  readonly entries: DirectoryEntry[] = []
  readonly #header: Int32Array
  readonly #directory: Uint8Array
  #read = 0

  constructor(memory: SharedArrayBuffer, row: number) {
    const offset = row * pluginRowBytes
    this.#header = new Int32Array(memory, offset, 1)
    this.values = new Float64Array(memory, offset + headerBytes, capacity)
    this.#directory = new Uint8Array(memory, offset + headerBytes + capacity * 8, directoryBytes)
  }

  /** Reads what was added to the directory since the last call. */
  refresh(): void {
    const end = Atomics.load(this.#header, 0)
    if (end === this.#read) return
    const text = Buffer.from(this.#directory.slice(this.#read, end)).toString()
    for (const line of text.trimEnd().split('\n')) this.entries.push(JSON.parse(line) as DirectoryEntry)
    this.#read = end
  }

  /** Returns the index of the new entry's value, or -1 when the row is full. */
  append(entry: DirectoryEntry): number {
    const line = Buffer.from(`${JSON.stringify(entry)}\n`)
    const end = this.#read + line.length
    if (this.entries.length === capacity || end > directoryBytes) return -1
    this.#directory.set(line, this.#read)
    this.#read = end
    // Published last: whoever sees the new end sees the whole line.
    Atomics.store(this.#header, 0, end)
    return this.entries.push(entry) - 1
  }
}

/** The row of one thread, as plugins are given it. */
export class PluginMetrics {
  readonly #row: Row
  readonly #indices = new Map<string, number>()

  private constructor(buffers: MetricsBuffers, thread: number) {
    this.#row = new Row(buffers.plugins, thread)
    this.#row.refresh()
    for (const [index, entry] of this.#row.entries.entries()) this.#indices.set(keyOf(entry), index)
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
    if (known === undefined) {
      const index = this.#row.append(entry)
      if (index === -1) {
        throw new MillraceError(
          'MR_SHARED_FULL',
          `no room for metric ${name} of ${use}: plugins have ${capacity} already`,
          {
            plugin,
          },
        )
      }
      this.#indices.set(keyOf(entry), index)
      return index
    }
    if (this.#row.entries[known].kind !== kind) {
      const message = `metric ${name} of ${use} is a ${this.#row.entries[known].kind}, asked for as a ${kind}`
      throw new MillraceError('MR_PLUGIN_CREATE', message, { plugin })
    }
    return known
  }
}

/** Reads all rows, on the main thread. */
export class PluginMetricsReader {
  readonly #rows: readonly Row[]

  constructor(buffers: MetricsBuffers) {
    this.#rows = Array.from({ length: buffers.shape.threads + 1 }, (_, row) => new Row(buffers.plugins, row))
  }

  /** Every metric of every plugin instance so far, summed over threads. */
  samples(): PluginSample[] {
    const sums = new Map<string, DirectoryEntry & { value: number }>()
    for (const row of this.#rows) {
      row.refresh()
      for (const [index, entry] of row.entries.entries()) {
        const sum = sums.get(keyOf(entry))
        if (sum) sum.value += row.values[index]
        else sums.set(keyOf(entry), { ...entry, value: row.values[index] })
      }
    }
    return [...sums.values()]
  }
}
