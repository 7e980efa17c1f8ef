/** One observation of a quantity: seconds since the start, value. */
export interface Point {
  readonly seconds: number
  readonly value: number
}

export interface Trend {
  /** Units per minute of the lower envelope. */
  readonly perMinute: number
  /** Predicted end over predicted start, minus 1. */
  readonly growth: number
  readonly first: number
  readonly last: number
}

/** Least squares: value = intercept + slope × seconds. */
export function leastSquares(points: readonly Point[]): { slope: number; intercept: number } {
  const count = points.length
  const meanX = points.reduce((sum, point) => sum + point.seconds, 0) / count
  const meanY = points.reduce((sum, point) => sum + point.value, 0) / count
  let above = 0
  let below = 0
  for (const { seconds, value } of points) {
    above += (seconds - meanX) * (value - meanY)
    below += (seconds - meanX) ** 2
  }
  const slope = below === 0 ? 0 : above / below
  return { slope, intercept: meanY - slope * meanX }
}

/**
 * Trend of a garbage-collected quantity. The first `settle` share of the time is warm-up and left out; the rest is cut
 * into ten windows and the line goes through each window's minimum, because what stands above it is garbage, not growth.
 */
export function trend(points: readonly Point[], settle = 0.25): Trend | undefined {
  const end = points.at(-1)?.seconds ?? 0
  const start = end * settle
  const windows = new Map<number, Point>()
  for (const point of points) {
    if (point.seconds < start) continue
    const index = Math.min(9, Math.floor(((point.seconds - start) / Math.max(end - start, 1e-9)) * 10))
    const lowest = windows.get(index)
    if (lowest === undefined || point.value < lowest.value) windows.set(index, point)
  }
  const lows = [...windows.values()]
  if (lows.length < 3) return undefined
  const { slope, intercept } = leastSquares(lows)
  const first = intercept + slope * start
  const last = intercept + slope * end
  return { perMinute: slope * 60, growth: first > 0 ? last / first - 1 : last > 0 ? 1 : 0, first, last }
}
