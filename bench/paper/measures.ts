/** What Maglev §5.3 measures of a lookup table: how even it is, and how much of it changes when backends fail. */
import { type Spread, spread } from '../stats/summary.ts'

/** Shares of a backend over the average share; 1 is even. */
export interface Imbalance {
  readonly max: number
  readonly p99: number
  readonly p1: number
  readonly min: number
}

/** Shares of all entries. */
export interface Disruption {
  /** Have another backend than before. */
  readonly changed: number
  /** Had a failed backend: these must change. */
  readonly ofFailed: number
  /** Have another backend though theirs still lives: what a perfect method has none of. */
  readonly moved: number
}

export interface Figures extends Spread {
  readonly mean: number
}

/** Entries of each backend. @param table the backend of each entry, 0…backends − 1 */
export function entriesOf(table: Uint32Array, backends: number): Uint32Array {
  const counts = new Uint32Array(backends)
  for (const backend of table) counts[backend]++
  return counts
}

/** @param counts entries of each backend that lives */
export function imbalanceOf(counts: Uint32Array): Imbalance {
  const sorted = counts.toSorted()
  const mean = sorted.reduce((sum, count) => sum + count, 0) / sorted.length
  // Nearest rank: the least count that so large a share of the backends does not exceed.
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] / mean
  return { max: at(1), p99: at(0.99), p1: at(0.01), min: at(0) }
}

/** @param before, after the backend of each entry, by the same numbers */
export function disruptionOf(
  before: Uint32Array,
  after: Uint32Array,
  failed: ReadonlySet<number>,
): Disruption {
  let changed = 0
  let ofFailed = 0
  for (let entry = 0; entry < before.length; entry++) {
    if (failed.has(before[entry])) ofFailed++
    if (before[entry] !== after[entry]) changed++
  }
  // Whatever a failed backend had has changed: it is no longer there to be chosen.
  const all = before.length
  return { changed: changed / all, ofFailed: ofFailed / all, moved: (changed - ofFailed) / all }
}

/** @param values at least one */
export function figuresOf(values: readonly number[]): Figures {
  const found = spread(values)
  if (found === undefined) throw new Error('figures of nothing')
  return { ...found, mean: values.reduce((sum, value) => sum + value, 0) / values.length }
}
