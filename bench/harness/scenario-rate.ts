/** Finds the rate of a scenario that names a share of the slowest knee: knees first, on the same backend, then what the rig can do. */
import type { RunningArm } from '../arms/arm.ts'
import { blockFaults } from '../load/block-faults.ts'
import { warmupParts } from '../load/warm-up.ts'
import { runWrk } from '../load/wrk.ts'
import type { Progress } from '../report/progress.ts'
import { findKnee, kneeLadder } from '../stats/knee.ts'
import { type ArmKnee, honestRate, type ResolvedRate, resolveRate } from '../stats/rates.ts'
import type { PlannedScenario } from '../suites.ts'
import type { LoadHost } from './measure-block.ts'

/** Of one step of the ladder, and before the first one; whole ones, as wrk takes them. */
const stepSeconds = 1
const warmupSeconds = 2
/** Of one attempt at a rate, with its ramp. */
const probe = { seconds: 1, warmupSeconds: 0.5 }
/** Of an attempt: answers that are still missing then belong to a rate that is too high. */
const probePatienceMs = 500
const alone = 'direct'

/** For the estimate of the time left: a rate that is good at once, which takes two attempts. */
export const probeSeconds = 2 * (probe.seconds + probe.warmupSeconds)

/** For the estimate of the time left; the knee itself is one more step. */
export const kneeSeconds = warmupSeconds + (kneeLadder.length + 1) * stepSeconds

export interface RateParts {
  readonly host: LoadHost
  readonly random: () => number
  readonly signal: AbortSignal
}

export class ScenarioRates {
  readonly #parts: RateParts
  readonly #knees: ArmKnee[] = []
  readonly #notes: string[] = []

  constructor(parts: RateParts) {
    this.#parts = parts
  }

  /** All that were measured. */
  get knees(): readonly ArmKnee[] {
    return this.#knees
  }

  /** What readers must know of the rates. */
  get notes(): readonly string[] {
    return this.#notes
  }

  /** The scenario with its rate; as it is when it has a fixed one. */
  async resolve(
    scenario: PlannedScenario,
    arms: readonly string[],
    take: (arm: string) => Promise<RunningArm>,
    progress: Pick<Progress, 'advance'>,
  ): Promise<PlannedScenario> {
    if (scenario.rateShare === undefined) return scenario
    for (const arm of this.#unknown(scenario, arms)) {
      const knee = await this.#findKnee(scenario, arm, await take(arm))
      const text = `knee of ${arm}: ${rounded(knee.kneePerSecond)}/s at ${knee.kneeConnections} connections`
      progress.advance(kneeSeconds, text)
    }
    const mine = this.#knees.filter(({ backendDelayMs }) => backendDelayMs === scenario.backendDelayMs)
    const wanted = resolveRate(scenario.rateShare, mine, scenario.rateArms)
    const backend = await take(alone)
    const { ratePerSecond, lowered } = await honestRate(wanted.wantedPerSecond, (rate) =>
      this.#faultsAt(scenario, backend, rate),
    )
    const rate: ResolvedRate = { ...wanted, lowered }
    this.#note(scenario, rate, ratePerSecond)
    const from = `knee of ${rate.arm} ${rounded(rate.kneePerSecond)}/s`
    progress.advance(probeSeconds, `${scenario.name}: ${ratePerSecond} requests/s, ${from}`)
    return { ...scenario, ratePerSecond, rate }
  }

  /** Arms whose knee is needed and was not measured yet. */
  #unknown(scenario: PlannedScenario, arms: readonly string[]): string[] {
    return kneeArms(scenario, arms).filter(
      (name) =>
        !this.#knees.some(
          ({ arm, backendDelayMs }) => arm === name && backendDelayMs === scenario.backendDelayMs,
        ),
    )
  }

  async #findKnee(
    { path, backendDelayMs }: PlannedScenario,
    arm: string,
    running: RunningArm,
  ): Promise<ArmKnee> {
    const { processes, cores, closedLoop } = this.#parts.host
    const run = closedLoop?.run ?? runWrk
    const load = { url: `http://127.0.0.1:${running.port}${path}`, cores, upload: false }
    for (const seconds of warmupParts(warmupSeconds))
      await run(processes, { ...load, seconds, connections: kneeLadder.at(-1)! })
    const found = await findKnee(async (connections) => {
      this.#parts.signal.throwIfAborted()
      const { requests, errors, seconds } = await run(processes, {
        ...load,
        seconds: stepSeconds,
        connections,
      })
      if (errors === 0) return requests / seconds
      this.#notes.push(`knee of ${arm}: ${errors} requests failed at ${connections} connections, left out`)
      return undefined
    })
    const knee: ArmKnee = { arm, backendDelayMs, ...found }
    this.#knees.push(knee)
    return knee
  }

  async #faultsAt(scenario: PlannedScenario, backend: RunningArm, ratePerSecond: number): Promise<string[]> {
    const { host, random, signal } = this.#parts
    signal.throwIfAborted()
    const driver = await host.driver()
    const result = await driver.run({
      ...{ url: `http://127.0.0.1:${backend.port}${scenario.path}`, ratePerSecond, ...probe },
      ...{ arrivals: 'poisson', seed: Math.floor(random() * 2 ** 31), connections: scenario.connections },
      ...{ patienceMs: probePatienceMs, spin: host.spin },
    })
    return blockFaults(result)
  }

  #note({ title }: PlannedScenario, rate: ResolvedRate, ratePerSecond: number): void {
    if (rate.ofRig) {
      this.#notes.push(
        `${title}: the backend alone saturates no later than ${rate.arm} does, so its knee of ` +
          `${rounded(rate.kneePerSecond)} requests/s is that of load generator and backend.`,
      )
    }
    if (rate.lowered !== undefined) {
      this.#notes.push(
        `${title}: ${ratePerSecond} requests/s instead of ${rate.wantedPerSecond}, which the load generator cannot ` +
          `give with enough to spare: ${rate.lowered}.`,
      )
    }
  }
}

/** Those whose knee may set the rate, and the backend alone, which shows what the rig can do. */
function kneeArms(scenario: PlannedScenario, arms: readonly string[]): string[] {
  const wanted = scenario.rateArms ?? arms
  return [...new Set([alone, ...wanted])].filter((arm) => arms.includes(arm))
}

const rounded = (perSecond: number): string => Math.round(perSecond).toLocaleString('en')
