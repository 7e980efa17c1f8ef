import type { Backend, BackendView, PickRequest } from 'millrace'
import { mix32 } from './hash.ts'

/** What the algorithms with a table over *all* members share: who in it may be picked, and what to do when few are left. */
export class TableView {
  all: readonly Backend[] = []
  private available: readonly Backend[] = []
  /** 1 where `all[index]` is available: the table names dead backends too. */
  private open = new Uint8Array(0)

  update(view: BackendView): void {
    this.all = view.all
    this.available = view.available
    this.open = Uint8Array.from(view.all, (backend) => (view.isAvailable(backend) ? 1 : 0))
  }

  /** True when the backend at this index of the table may be picked. */
  allows(index: number, request: PickRequest): boolean {
    return this.open[index] === 1 && !request.excluded(this.all[index])
  }

  /**
   * For when walking the table has found nobody for long: nearly all are gone, and walking on would cost more than
   * asking each. A key's choice depends only on who is left, as in the table.
   */
  scan(request: PickRequest): Backend | undefined {
    const { available } = this
    const size = available.length
    const start = size === 0 ? 0 : (mix32(request.hash) >>> 0) % size
    for (let i = 0; i < size; i++) {
      const backend = available[start + i < size ? start + i : start + i - size]
      if (!request.excluded(backend)) return backend
    }
    return undefined
  }
}

/**
 * A power of two near the median weight. Weights are counted in it, so that what a member gets in a table depends on its
 * own weight alone: editing one weight of many does not move the median, as it would the sum or the mean.
 */
export function weightUnit(weights: readonly number[]): number {
  const positive = weights.filter((weight) => weight > 0).sort((a, b) => a - b)
  if (positive.length === 0) return 1
  return 2 ** Math.round(Math.log2(positive[positive.length >>> 1]))
}
