/** Pearson's χ² of observed counts against the shares that were expected. */
export function chiSquare(observed: readonly number[], weights: readonly number[]): number {
  const total = observed.reduce((sum, count) => sum + count, 0)
  const weight = weights.reduce((sum, share) => sum + share, 0)
  return observed.reduce((sum, count, index) => {
    const expected = (total * weights[index]) / weight
    return sum + (count - expected) ** 2 / expected
  }, 0)
}

/** The value that χ² with `freedom` degrees exceeds once in 10,000 times (Wilson and Hilferty, 1931). */
export function chiSquareLimit(freedom: number): number {
  const spread = 2 / (9 * freedom)
  return freedom * (1 - spread + 3.719 * Math.sqrt(spread)) ** 3
}
