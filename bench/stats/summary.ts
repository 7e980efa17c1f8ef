/** Median with the smallest and the largest value it was taken from. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly count: number
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** undefined when there is nothing to summarise. */
export function spread(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), count: values.length }
}

/**
 * Ratios taken inside each round, where both were measured within seconds of each other, so that a machine that drifts
 * between rounds does not enter them. Rounds that lack one of the two are left out.
 */
export function ratiosByRound(
  values: ReadonlyMap<number, number>,
  baseline: ReadonlyMap<number, number>,
): number[] {
  const ratios: number[] = []
  for (const [round, value] of values) {
    const base = baseline.get(round)
    if (base !== undefined && base > 0) ratios.push(value / base)
  }
  return ratios
}
