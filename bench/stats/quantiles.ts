/** HDR histograms of times in milliseconds, kept in nanoseconds to three figures. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

export interface Quantiles {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

const perMillisecond = 1e6
/** Longer than any request is waited for. */
const highestMs = 10 * 60_000

export class TimeHistogram {
  readonly #histogram: RecordableHistogram = createHistogram({
    lowest: 1,
    highest: highestMs * perMillisecond,
    figures: 3,
  })

  /** Times under a nanosecond count as one. */
  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * perMillisecond)))
  }

  get count(): number {
    return this.#histogram.count
  }

  /** @param q 0…1 */
  quantile(q: number): number {
    if (this.#histogram.count === 0) return 0
    return (q <= 0 ? this.#histogram.min : this.#histogram.percentile(q * 100)) / perMillisecond
  }

  quantiles(): Quantiles {
    const { count, mean, max } = this.#histogram
    return {
      count,
      mean: count === 0 ? 0 : mean / perMillisecond,
      p50: this.quantile(0.5),
      p90: this.quantile(0.9),
      p99: this.quantile(0.99),
      p999: this.quantile(0.999),
      max: count === 0 ? 0 : max / perMillisecond,
    }
  }

  /** [1 / (1 − quantile), ms] for a latency curve whose axis gives each nine the same room. */
  curve(): [ninesInverse: number, ms: number][] {
    const points: [number, number][] = []
    for (let step = 0; step <= 40; step++) {
      const inverse = 10 ** (step / 10)
      if (inverse > this.count) break
      points.push([inverse, this.quantile(1 - 1 / inverse)])
    }
    return points
  }
}
