/** Lines through observations: what grows, how fast, and how sure that is. */
import { fewestBlocks } from './bootstrap.ts'

/** One observation of a quantity: seconds since the start, value. */
export interface Point {
  readonly seconds: number
  readonly value: number
}

export interface Trend extends Slope {
  /** Units per minute of the lower envelope; `low` and `high` bound its 99 % interval. */
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
 * @param resolution step in which the values were read: the slope is known no better than one step over the whole time
 */
export function trend(points: readonly Point[], resolution = 0, settle = 0.25): Trend | undefined {
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
  const bound = (slopeBound(lows, slope, intercept) + resolution / (end - start)) * 60
  const perMinute = slope * 60
  return {
    ...{ perMinute, low: perMinute - bound, high: perMinute + bound },
    ...{ growth: first > 0 ? last / first - 1 : last > 0 ? 1 : 0, first, last },
  }
}

/** Student's t, 99.5 %, for 1 to 8 degrees of freedom: ten windows at most, less the two of a line. */
const studentT = [63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355] as const

/** Half of the 99 % interval of the slope (Draper, Smith, Applied Regression Analysis, 1998, §1.4). */
function slopeBound(points: readonly Point[], slope: number, intercept: number): number {
  const meanX = points.reduce((sum, point) => sum + point.seconds, 0) / points.length
  const spread = points.reduce((sum, point) => sum + (point.seconds - meanX) ** 2, 0)
  const rest = points.reduce((sum, { seconds, value }) => sum + (value - intercept - slope * seconds) ** 2, 0)
  const degrees = points.length - 2
  return studentT[degrees - 1] * Math.sqrt(rest / degrees / spread)
}

export interface Slope {
  readonly perMinute: number
  /** Bounds of the confidence interval. */
  readonly low: number
  readonly high: number
}

export interface CommonSlopeOptions {
  /** 0…1, of the two-sided interval. */
  readonly confidence: number
  readonly random: () => number
}

/**
 * One slope for several processes that each have a level of their own. Its interval comes from drawing the points again; they
 * are blocks, as in bootstrap.ts. undefined where there are too few of them for such a confidence.
 */
export function commonSlope(
  processes: readonly (readonly Point[])[],
  { confidence, random }: CommonSlopeOptions,
): Slope | undefined {
  const lines = processes.filter((points) => points.length >= 3)
  const count = lines.reduce((sum, points) => sum + points.length, 0)
  if (count < fewestBlocks(confidence)) return undefined
  const perMinute = slopeWithin(lines) * 60
  const drawn = Float64Array.from({ length: 2000 }, () => {
    const again = lines.map((points) => points.map(() => points[Math.floor(random() * points.length)]))
    return slopeWithin(again) * 60
  }).sort()
  const tail = (1 - confidence) / 2
  const at = (share: number) => drawn[Math.round(share * (drawn.length - 1))]
  return { perMinute, low: at(tail), high: at(1 - tail) }
}

/** Least squares with an intercept for each line. */
function slopeWithin(lines: readonly (readonly Point[])[]): number {
  let above = 0
  let below = 0
  for (const points of lines) {
    const meanX = points.reduce((sum, point) => sum + point.seconds, 0) / points.length
    const meanY = points.reduce((sum, point) => sum + point.value, 0) / points.length
    for (const { seconds, value } of points) {
      above += (seconds - meanX) * (value - meanY)
      below += (seconds - meanX) ** 2
    }
  }
  return below === 0 ? 0 : above / below
}
