/**
 * Who may be picked, and with what share of its weight: panic, priority tiers, zone preference and slow start of a service,
 * as one pure rule over its backends. It runs when availability changes and while a backend ramps up, never for a request.
 */

/** A backend with a weight > 0. */
export interface Candidate {
  readonly weight: number
  readonly zone: string
  readonly priority: number
  /** False: an operator has taken it out. Its tier lacks it, but panic does not bring it back. */
  readonly usable: boolean
  /** Usable, and not known to be down. */
  readonly healthy: boolean
  /** How far it has come in its slow start, over 0 to 1. */
  readonly ramp: number
}

export interface ShareRules {
  readonly panicThreshold: number
  /** Zone of this node; '' for no preference. */
  readonly ownZone: string
}

export interface Shares {
  readonly panic: boolean
  /** Parallel to the candidates: effective weight / configured weight, the largest one 1; 0: not to be picked. */
  readonly factors: Float64Array
}

/** A tier or zone counts as whole until 1 / this of its weight is left, as with Envoy's `overprovisioning_factor`. */
export const overprovisioning = 1.4

/** A group of candidates and what they can carry: their weights, less what is down or still ramping up. */
interface Group {
  readonly members: number[]
  total: number
  healthy: number
  capacity: number
}

export function sharesOf(candidates: readonly Candidate[], rules: ShareRules): Shares {
  const factors = new Float64Array(candidates.length)
  const tiers = groupBy(candidates, candidates.keys(), ({ priority }) => priority)
  const ordered = [...tiers.entries()].sort(([a], [b]) => a - b).map(([, tier]) => tier)
  if (panics(candidates, ordered, rules.panicThreshold))
    return { panic: true, factors: factors.map((_, index) => (candidates[index].usable ? 1 : 0)) }
  const loads = tierLoads(ordered)
  ordered.forEach((tier, index) => {
    if (loads[index] > 0) divide(candidates, tier, loads[index], rules.ownZone, factors)
  })
  const largest = factors.reduce((most, factor) => Math.max(most, factor), 0)
  if (largest > 0) for (let i = 0; i < factors.length; i++) factors[i] /= largest
  return { panic: false, factors }
}

function groupBy<Key>(
  candidates: readonly Candidate[],
  members: Iterable<number>,
  keyOf: (candidate: Candidate) => Key,
): Map<Key, Group> {
  const groups = new Map<Key, Group>()
  for (const index of members) {
    const candidate = candidates[index]
    const key = keyOf(candidate)
    let group = groups.get(key)
    if (group === undefined) {
      group = { members: [], total: 0, healthy: 0, capacity: 0 }
      groups.set(key, group)
    }
    group.members.push(index)
    group.total += candidate.weight
    if (!candidate.healthy) continue
    group.healthy += candidate.weight
    group.capacity += candidate.weight * candidate.ramp
  }
  return groups
}

/** Every tier has too few healthy backends, and together they cannot make up for it (as Envoy: the threshold counts only
 * where the health of all tiers together is under 100 %). A single tier panics by its threshold alone. */
function panics(candidates: readonly Candidate[], tiers: readonly Group[], threshold: number): boolean {
  const inUse = tiers.filter(({ members }) => members.some((index) => candidates[index].usable))
  const under = inUse.every(({ members }) => {
    const usable = members.filter((index) => candidates[index].usable)
    const healthy = usable.filter((index) => candidates[index].healthy)
    return healthy.length < usable.length && healthy.length < usable.length * threshold
  })
  if (!under || inUse.length === 0) return false
  const carried = tiers.reduce((sum, { healthy, total }) => sum + health(healthy, total), 0)
  return inUse.length === 1 || carried < 1
}

const health = (left: number, total: number): number => Math.min(1, (overprovisioning * left) / total)

/** Share of the exchanges that each tier gets: what it can carry of what the tiers above leave; where all together cannot
 * carry everything, in proportion to what they can. */
function tierLoads(tiers: readonly Group[]): number[] {
  const carries = tiers.map(({ capacity, total }) => health(capacity, total))
  const all = Math.min(
    1,
    carries.reduce((sum, carried) => sum + carried, 0),
  )
  let left = 1
  return carries.map((carried) => {
    const load = all > 0 ? Math.min(left, carried / all) : 0
    // What rounding leaves over is nobody's.
    left = left - load < 1e-9 ? 0 : left - load
    return load
  })
}

/**
 * Divides the load of a tier among its zones. The nodes of the fleet are taken to get equal traffic in each of the tier's
 * zones. Then the own zone can carry zones × (its part of the capacity) of what comes in here: all of it, or the rest goes
 * to the zones that have more than they need, in proportion to what they have left (Envoy's zone-aware routing).
 */
function divide(
  candidates: readonly Candidate[],
  tier: Group,
  load: number,
  ownZone: string,
  factors: Float64Array,
): void {
  const give = (group: Group, share: number) => {
    for (const index of group.members) {
      const { healthy, ramp } = candidates[index]
      if (healthy && share > 0) factors[index] = (ramp * share) / group.capacity
    }
  }
  const zones = ownZone === '' ? undefined : groupBy(candidates, tier.members, ({ zone }) => zone)
  const own = zones?.get(ownZone)
  if (zones === undefined || own === undefined || own.capacity === 0) {
    give(tier, load)
    return
  }
  const carries = (zone: Group): number => (zones.size * zone.capacity) / tier.capacity
  const kept = Math.min(1, carries(own))
  give(own, load * kept)
  if (1 - kept < 1e-9) return
  const others = [...zones.values()].filter((zone) => zone !== own && carries(zone) > 1)
  const spare = others.reduce((sum, zone) => sum + carries(zone) - 1, 0)
  for (const zone of others) give(zone, (load * (1 - kept) * (carries(zone) - 1)) / spare)
}

/**
 * For algorithms that do not go by weight: of a uniform draw in [0, 1) a backend is kept under its number here, else passed
 * over. One draw serves all backends, so those that are kept are nested sets, the fuller ones the rarer; where the
 * algorithm shares evenly by configured weight among those that are kept, each gets weight × factor of the whole, exactly.
 */
export function keepChances(weights: readonly number[], factors: Float64Array): Float64Array {
  const chances = new Float64Array(factors.length)
  const order = [...factors.keys()].filter((i) => factors[i] > 0).sort((a, b) => factors[a] - factors[b])
  const whole = order.reduce((sum, i) => sum + weights[i] * factors[i], 0)
  let left = order.reduce((sum, i) => sum + weights[i], 0)
  let before = 0
  let chance = 0
  for (const i of order) {
    chance += (left * (factors[i] - before)) / whole
    before = factors[i]
    left -= weights[i]
    // The largest factor is 1 and its chance too, but for rounding.
    chances[i] = factors[i] === 1 ? 1 : Math.min(1, chance)
  }
  return chances
}

export interface SlowStart {
  /** 0: none. */
  readonly windowMs: number
  readonly aggression: number
  readonly minimum: number
}

/** Envoy's formula: max(minimum, (time / window) ^ (1 / aggression)), 1 after the window. */
export function rampAt(passedMs: number, { windowMs, aggression, minimum }: SlowStart): number {
  if (passedMs >= windowMs) return 1
  const linear = Math.max(0, passedMs) / windowMs
  return Math.max(minimum, aggression === 1 ? linear : linear ** (1 / aggression))
}

/** How often effective weights follow a ramp: thirty steps, not closer than 50 ms and not wider than a second. */
export function rampStepMs(windowMs: number): number {
  return Math.min(1000, Math.max(50, windowMs / 30))
}
