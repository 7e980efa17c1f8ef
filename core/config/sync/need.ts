/** What a read of the store is for. */

export interface Need {
  /** The answer must hold every write that was acknowledged before. */
  readonly fresh: boolean
  /** The value, not only whether there is a newer one. */
  readonly full: boolean
  /** Hints asked for it, and all of them named their revision. */
  readonly named: boolean
}

export const look: Need = { fresh: true, full: true, named: false }
export const glance: Need = { fresh: false, full: false, named: false }

/** One read for both. */
export function both(one: Need | undefined, other: Need): Need {
  if (one === undefined) return other
  const [fresh, full] = [one.fresh || other.fresh, one.full || other.full]
  return { fresh, full, named: one.named && other.named }
}
