/**
 * A log-linear histogram over a slice of a Float64Array: 90 linear cells in each decade from 1 µs to 100 s (1.0, 1.1 … 9.9),
 * so a value is known to within 10 % and every round bucket bound (1, 2.5, 5 ms…) is the bound of a cell: exporting to
 * Prometheus buckets is exact. The scheme is that of circllhist (Hartmann, Schlossnagle 2020).
 */

const cellsPerDecade = 90
const decades = 8
const underflow = 0
const overflow = 1 + cellsPerDecade * decades

/** Where the sum of all values is kept, in milliseconds. */
const sumCell = overflow + 1

/** Cells that one histogram needs, rounded up to whole cache lines. */
export const histogramCells = (sumCell + 1 + 7) & ~7

/** 10 / 10^decade, by decade: brings a value in µs into 10…99. */
const scales = Float64Array.of(10, 1, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001)

// HOT
/** Records one value in milliseconds; NaN and negative values are not recorded. Allocates nothing. */
export function recordLatency(cells: Float64Array, offset: number, ms: number): void {
  if (!(ms >= 0)) return
  const us = ms * 1000
  let cell = underflow
  if (us >= 1) {
    let decade = us < 1e4 ? (us < 1e2 ? 0 : 2) : us < 1e6 ? 4 : 6
    if (us >= 1e8) cell = overflow
    else {
      if (us * scales[decade] >= 100) decade++
      // Rounding may leave 99.99… of the next decade's first value; the cell beside it is then right to within 1e-15.
      cell = 1 + decade * cellsPerDecade + ((us * scales[decade]) | 0) - 10
    }
  }
  cells[offset + cell] += 1
  cells[offset + sumCell] += ms
}

/** Lower bound of a cell in milliseconds. */
function lowerBound(cell: number): number {
  if (cell === underflow) return 0
  if (cell >= overflow) return 1e5
  const decade = Math.floor((cell - 1) / cellsPerDecade)
  // Computed as an integer power first: 0.1 is not exact, 10 ** n is.
  return (((cell - 1) % cellsPerDecade) + 10) / 10 ** (4 - decade)
}

/** A histogram summed over threads, for those who read. */
export class LatencySummary {
  readonly #cells = new Float64Array(histogramCells)

  /** Adds one thread's histogram. */
  add(cells: Float64Array, offset: number): void {
    for (let cell = 0; cell <= sumCell; cell++) this.#cells[cell] += cells[offset + cell]
  }

  get count(): number {
    let count = 0
    for (let cell = 0; cell <= overflow; cell++) count += this.#cells[cell]
    return count
  }

  get sumMs(): number {
    return this.#cells[sumCell]
  }

  /** How many values were below each bound; bounds in milliseconds, ascending. */
  cumulative(boundsMs: readonly number[]): number[] {
    let cell = 0
    let count = 0
    return boundsMs.map((bound) => {
      for (; cell <= overflow && lowerBound(cell) < bound; cell++) count += this.#cells[cell]
      return count
    })
  }

  /** The upper bound, in milliseconds, of the cell that holds quantile `q` (0..1); NaN when nothing was recorded. */
  quantile(q: number): number {
    const rank = Math.max(1, Math.ceil(this.count * q))
    let count = 0
    for (let cell = 0; cell <= overflow; cell++) {
      count += this.#cells[cell]
      if (count >= rank) return cell === overflow ? Number.POSITIVE_INFINITY : lowerBound(cell + 1)
    }
    return Number.NaN
  }
}
