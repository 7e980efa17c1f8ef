/** From knees to the one absolute rate that every arm of a scenario is loaded with. */
import type { Knee } from './knee.ts'

export interface ArmKnee extends Knee {
  readonly arm: string
  /** Milliseconds that the backend took. */
  readonly backendDelayMs: number
}

/** Where a rate came from. */
export interface ResolvedRate {
  /** Of the slowest knee, as the suite asks. */
  readonly share: number
  /** Whose knee it is. */
  readonly arm: string
  readonly kneePerSecond: number
  /** The share of that knee, requests per second. */
  readonly wantedPerSecond: number
  /** The backend alone saturated no later than that arm: load generator and backend were measured, not the arm. */
  readonly ofRig: boolean
  /** Why fewer requests start than wanted; undefined: they do not. */
  readonly lowered: string | undefined
}

/** The backend without a proxy: what load generator and backend can do. */
const rig = 'direct'
/** Of the rig's saturation: whoever comes so close may have more to give. */
const rigShare = 0.9

/**
 * @param share 0…1
 * @param among arms whose slowest knee it is; all save the backend alone when left out
 * @throws when there is no knee of such an arm
 */
export function resolveRate(
  share: number,
  knees: readonly ArmKnee[],
  among?: readonly string[],
): ResolvedRate {
  const candidates = knees.filter(({ arm }) => (among === undefined ? arm !== rig : among.includes(arm)))
  if (candidates.length === 0) {
    throw new Error(
      `no knee to take ${share * 100} % of: of ${among?.join(', ') ?? 'no proxy'} none was measured`,
    )
  }
  const slowest = candidates.reduce((least, one) => (one.kneePerSecond < least.kneePerSecond ? one : least))
  const alone = knees.find(({ arm }) => arm === rig)
  return {
    share,
    arm: slowest.arm,
    kneePerSecond: slowest.kneePerSecond,
    wantedPerSecond: Math.max(1, Math.floor(slowest.kneePerSecond * share)),
    ofRig: alone !== undefined && slowest.saturationPerSecond >= rigShare * alone.saturationPerSecond,
    lowered: undefined,
  }
}

/** Of the rate, from one attempt to the next. */
const step = 0.8
const steps = 12
/** The load generator is used at most at this part of what it can give, so that its own queue is not what is measured. */
export const headroom = 2
/** Blocks at one rate, most of which must count: a lucky one says as little as one that others disturbed. */
const attempts = 3
const needed = 2

/**
 * The highest rate, from the wanted one down in steps of a fifth, at whose double most blocks of the backend alone count: beyond
 * it the latencies would be those of the load generator. (Measured on two cores: at the highest rate that the backend alone was
 * loaded with honestly, four of five blocks with a proxy in between were not.)
 * @param faultsAt why a block at a rate would not count; empty: it would. Asked two or three times
 * @throws when even a fifteenth of the rate is too much
 */
export async function honestRate(
  wantedPerSecond: number,
  faultsAt: (ratePerSecond: number) => Promise<readonly string[]>,
): Promise<{ readonly ratePerSecond: number; readonly lowered: string | undefined }> {
  let lowered: string | undefined
  let ratePerSecond = wantedPerSecond
  for (let down = 0; down < steps; down++) {
    const tried = headroom * ratePerSecond
    const faults = await usualFaults(() => faultsAt(tried))
    if (faults.length === 0) return { ratePerSecond, lowered }
    lowered = `at ${headroom} times ${ratePerSecond} requests/s to the backend alone ${faults.join('; ')}`
    ratePerSecond = Math.max(1, Math.floor(ratePerSecond * step))
  }
  throw new Error(`no honest rate: ${lowered}`)
}

/** The faults of the last bad block where most are bad; none where most are good. */
async function usualFaults(measure: () => Promise<readonly string[]>): Promise<readonly string[]> {
  let good = 0
  let last: readonly string[] = []
  for (let attempt = 0; attempt < attempts; attempt++) {
    const faults = await measure()
    if (faults.length === 0) good++
    else last = faults
    if (good === needed) return []
    if (attempt - good + 1 === needed) return last
  }
  return last
}
