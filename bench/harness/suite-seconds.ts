/** How long the parts of a suite take, for its blocks and for the estimate of the time left. */
import type { PlannedScenario, Suite } from '../suites.ts'
import { kneeSeconds, probeSeconds } from './scenario-rate.ts'

type Load = PlannedScenario['load']

/** Of the driver, once a run, before its first block; and of a backend that takes its time, which is a Node program too. */
export const driverWarmupSeconds = 4
export const backendWarmup = { ratePerSecond: 3000, seconds: 2 }

export function plannedSeconds(
  suite: Suite,
  planned: readonly { readonly scenario: PlannedScenario; readonly names: readonly string[] }[],
): number {
  let seconds = planned.some(({ scenario }) => scenario.load === 'open') ? driverWarmupSeconds : 0
  const withKnees = new Set<number>()
  for (const { scenario, names } of planned) {
    const { load, backendDelayMs, rateShare, rateArms } = scenario
    if (load === 'open' && backendDelayMs > 0) seconds += backendWarmup.seconds
    if (rateShare !== undefined) seconds += probeSeconds
    if (rateShare !== undefined && !withKnees.has(backendDelayMs)) {
      withKnees.add(backendDelayMs)
      seconds += kneeSeconds * (rateArms === undefined ? names.length : rateArms.length + 1)
    }
    for (let round = 1; round <= suite.rounds; round++)
      seconds += names.length * blockSeconds(suite, load, round)
  }
  return seconds
}

/** With its warm-up, and the start of the arm where there is one. */
export function blockSeconds(suite: Suite, load: Load, round: number): number {
  return measuredSeconds(suite, load) + warmupSeconds(suite, load, round) + (isFresh(suite, round) ? 1 : 0)
}

export const measuredSeconds = (suite: Suite, load: Load): number =>
  load === 'open' ? (suite.openSeconds ?? suite.seconds) : suite.seconds

export function warmupSeconds(suite: Suite, load: Load, round: number): number {
  if (isFresh(suite, round)) return suite.firstWarmupSeconds
  return load === 'open' ? suite.openWarmupSeconds : suite.warmupSeconds
}

/** The arm is started anew. */
export const isFresh = (suite: Suite, round: number): boolean => (round - 1) % suite.restartEvery === 0
