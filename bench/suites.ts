/** What `millrace bench run` measures. */
import { didYouMean } from '../core/host/did-you-mean.ts'
import { MillraceError } from '../core/host/errors.ts'
import type { Scenario } from './report/bench-results.ts'
import { furtherShapes, shapesSuite } from './shapes.ts'

export interface Suite {
  readonly name: string
  readonly title: string
  /** `direct` is the backend without a proxy. */
  readonly arms: readonly string[]
  /** Blocks of each arm in each scenario. */
  readonly rounds: number
  /** Of one block; whole ones. */
  readonly seconds: number
  /** Before the first block of an arm, and before every other one; whole ones. */
  readonly firstWarmupSeconds: number
  readonly warmupSeconds: number
  /** The same in an open loop, where a part of a second will do: its driver stays warm from block to block. As `seconds` when left out. */
  readonly openSeconds?: number
  readonly openWarmupSeconds: number
  /** An arm is started anew after so many rounds: what a process is lucky with, it is lucky with to its end. */
  readonly restartEvery: number
  readonly scenarios: readonly PlannedScenario[]
  /** So often at most a block is measured again at once that does not count for the sake of the driver; never when left out. */
  readonly repeats?: number
  /** What its exit status is about. */
  readonly gate?: GatePlan
}

/** Judged by stats/gate.ts: what `arm` adds to the backend alone, beside what `against` adds. */
export interface GatePlan {
  readonly scenario: string
  readonly arm: string
  readonly against: string
}

export interface PlannedScenario extends Scenario {
  readonly path: string
  /** Milliseconds that the backend takes; 0: nginx, at once. */
  readonly backendDelayMs: number
  /** Arms of the suite that are not measured in it. */
  readonly without?: readonly string[]
  /** Fields of every request of a closed loop. */
  readonly headers?: Readonly<Record<string, string>>
  /** Instead of a fixed rate: share of the slowest arm's knee on this backend, measured before. */
  readonly rateShare?: number
  /** Whose knees count for that; those of all arms when left out. */
  readonly rateArms?: readonly string[]
}

const closed = (name: string, title: string, path: string, connections: number): PlannedScenario => ({
  name,
  title,
  path,
  connections,
  load: 'closed',
  ratePerSecond: undefined,
  backendDelayMs: 0,
})

const open = (
  name: string,
  title: string,
  backendDelayMs: number,
  ratePerSecond: number,
): PlannedScenario => ({
  name,
  title,
  path: '/64',
  connections: 256,
  load: 'open',
  ratePerSecond,
  backendDelayMs,
})

/** The rate is known when the knees are. */
const atKnee = (name: string, title: string, backendDelayMs: number, rateShare: number): PlannedScenario => ({
  ...open(name, title, backendDelayMs, 0),
  ratePerSecond: undefined,
  rateShare,
})

export const small = closed('closed-64b', '64-byte body, 64 connections at work', '/64', 64)
const delayed = open('open-5ms', 'Backend of 5 ms, 2,000 requests start each second', 5, 2000)

export const suites: readonly Suite[] = [
  {
    name: 'quick',
    title: 'Under three minutes',
    arms: ['direct', 'nginx', 'haproxy', 'millrace', 'http-proxy'],
    // 8 blocks are the fewest for 99 %; a second more of each would be more than three minutes.
    rounds: 8,
    seconds: 1,
    firstWarmupSeconds: 2,
    warmupSeconds: 1,
    openSeconds: 1,
    openWarmupSeconds: 0.5,
    restartEvery: 8,
    // No repeats: on a busy machine they are the half minute that it has to spare.
    scenarios: [small, { ...delayed, without: ['http-proxy'] }],
  },
  {
    name: 'full',
    title: 'Every arm, body size and shape',
    arms: [
      ...['direct', 'nginx', 'haproxy', 'millrace', 'core'],
      ...['floor', 'passthrough', 'http-proxy', 'reply-from'],
    ],
    rounds: 12,
    seconds: 4,
    firstWarmupSeconds: 8,
    warmupSeconds: 1,
    openSeconds: 4,
    openWarmupSeconds: 1,
    restartEvery: 4,
    repeats: 1,
    scenarios: [
      closed('closed-64b-1', '64-byte body, 1 connection', '/64', 1),
      closed('closed-64b-8', '64-byte body, 8 connections at work', '/64', 8),
      small,
      closed('closed-64b-256', '64-byte body, 256 connections at work', '/64', 256),
      closed('closed-64k', '64 KiB body, 64 connections at work', '/64k', 64),
      closed('closed-1m', '1 MiB body, 64 connections at work', '/1m', 64),
      atKnee('open-5ms-25', "Backend of 5 ms, 25 % of the slowest arm's knee", 5, 0.25),
      atKnee('open-5ms-50', "Backend of 5 ms, 50 % of the slowest arm's knee", 5, 0.5),
      atKnee('open-5ms-75', "Backend of 5 ms, 75 % of the slowest arm's knee", 5, 0.75),
      ...furtherShapes,
    ],
  },
  shapesSuite,
  {
    name: 'p99',
    title: 'The p99 gate of the core',
    arms: ['direct', 'nginx', 'haproxy', 'millrace'],
    rounds: 10,
    seconds: 2,
    firstWarmupSeconds: 3,
    warmupSeconds: 1,
    openSeconds: 2,
    openWarmupSeconds: 0.5,
    restartEvery: 5,
    // A round counts only when it does for all three arms.
    repeats: 2,
    scenarios: [
      {
        ...atKnee('p99', "Backend of 5 ms, half of the slower one's knee", 5, 0.5),
        rateArms: ['haproxy', 'millrace'],
      },
    ],
    gate: { scenario: 'p99', arm: 'millrace', against: 'haproxy' },
  },
]

/**
 * Two revisions side by side; the arms are those of the command. Every block has a process of its own: two of the same code differ
 * by some 3 % of their CPU for as long as they live (what V8 happens to inline), so blocks of one process are not independent, and
 * an interval drawn over them is too narrow (3 of 20 A/A runs showed a difference, with 6 blocks a process).
 */
export const compareSuite: Suite = {
  name: 'compare',
  title: 'Two revisions',
  arms: ['base', 'head'],
  rounds: 12,
  seconds: 2,
  firstWarmupSeconds: 2,
  warmupSeconds: 1,
  openSeconds: 2,
  openWarmupSeconds: 0.5,
  restartEvery: 1,
  repeats: 1,
  scenarios: [small, delayed],
}

/**
 * An A/A run of a suite: its scenarios, in blocks so short that a run takes three minutes. Their noise is larger than that of longer
 * blocks, never smaller: thresholds that come from them are rather too high. 12 rounds: with fewer there is no interval wide
 * enough for all comparisons of a run together. A process for each block, as in `compare`.
 */
export function calibrationSuite(suite: Suite, arms: readonly [string, string]): Suite {
  const { gate, ...rest } = suite
  return {
    ...rest,
    ...{ arms, rounds: 12, seconds: 1, firstWarmupSeconds: 2, warmupSeconds: 1, restartEvery: 1 },
    ...{ openSeconds: 1, openWarmupSeconds: 0.5 },
    // Those are of arms that are not here.
    scenarios: suite.scenarios.map(({ without, rateArms, ...scenario }) => scenario),
  }
}

/** What `calibrate` is given: thresholds are for comparisons, so these are the usual ones. */
export function suiteToCalibrate(name = compareSuite.name): Suite {
  return name === compareSuite.name ? compareSuite : findSuite(name)
}

/** Throws a message for the user when there is no such suite. */
export function findSuite(name: string): Suite {
  const suite = suites.find((one) => one.name === name)
  if (suite !== undefined) return suite
  const names = suites.map((one) => one.name)
  const hint = didYouMean(name, names) || ';'
  throw new MillraceError('MR_USAGE', `unknown suite "${name}"${hint} there are ${names.join(', ')}`)
}
