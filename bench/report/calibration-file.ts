/** calibration.json: what `millrace bench calibrate` found on a machine, and what `compare` reads. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { MillraceError } from '../../core/host/errors.ts'
import type { AaRun, CalibratedThreshold, FalseDifferences } from '../stats/calibration.ts'
import { type Machine, machineDifferences } from '../stats/machine.ts'
import { looseNumber, readDocument } from './read-document.ts'
import { machineSchema } from './read-results.ts'

/** Raised when a reader of older files would misunderstand. */
export const calibrationSchema = 1

export interface Calibration {
  readonly schema: typeof calibrationSchema
  readonly kind: 'calibration'
  readonly suite: string
  readonly machine: Machine
  /** Of the first run; every further one adds 1. */
  readonly seed: number
  readonly confidence: number
  /** A/A runs that were asked for. Fewer in `runs`: it was interrupted, and can be continued. */
  readonly wanted: number
  readonly runs: readonly AaRun[]
  readonly thresholds: readonly CalibratedThreshold[]
  readonly falseDifferences: FalseDifferences
}

const interval = z.looseObject({
  scenario: z.string(),
  metric: z.string(),
  median: looseNumber,
  low: looseNumber,
  high: looseNumber,
  jointLow: looseNumber,
  jointHigh: looseNumber,
  count: z.number(),
})

const run = z.looseObject({
  seed: z.number(),
  startedAt: z.string(),
  commit: z.string(),
  blocks: z.number(),
  thrownOut: z.number(),
  intervals: z.array(interval),
})

const threshold = z.looseObject({
  scenario: z.string(),
  metric: z.string(),
  starting: z.number(),
  threshold: z.number().positive(),
  typical: looseNumber,
  reach: looseNumber,
})

const schema = z.looseObject({
  schema: z.literal(calibrationSchema),
  kind: z.literal('calibration', { error: 'expected "calibration"' }),
  suite: z.string(),
  machine: machineSchema,
  seed: z.number(),
  confidence: z.number().gt(0).lt(1),
  wanted: z.number(),
  runs: z.array(run),
  thresholds: z.array(threshold),
})

/** @throws MR_BENCH_FILE with what is wrong with it */
export function readCalibration(path: string): Omit<Calibration, 'falseDifferences'> {
  const what = 'file of `millrace bench calibrate`'
  return readDocument(path, { what, version: calibrationSchema, schema })
}

/** Whole or not at all: a run that is killed meanwhile leaves the file before. */
export function writeCalibration(path: string, calibration: Calibration): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, `${JSON.stringify(calibration, null, 1)}\n`)
  renameSync(`${path}.new`, path)
}

/** @throws MR_BENCH_FILE where the file was made on another machine */
export function refuseOtherMachine(
  path: string,
  { machine }: Pick<Calibration, 'machine'>,
  here: Machine,
): void {
  const differences = machineDifferences(machine, here)
  if (differences.length === 0) return
  throw new MillraceError(
    'MR_BENCH_FILE',
    `${path} was made on another machine (${differences.join('; ')}): its noise is not this one's. ` +
      'Run `millrace bench calibrate` here, or compare with --no-calibration',
    { path },
  )
}

/** Thresholds for `compare`. */
export interface UsedCalibration {
  readonly path: string
  /** undefined: the starting threshold of the metric. */
  threshold(scenario: string, metric: string): number | undefined
  /** For the report. */
  readonly note: string
}

/**
 * @param named by the user, and must be there; else `usual` is looked at
 * @returns undefined where there is none
 * @throws MR_BENCH_FILE for a file that cannot be used here
 */
export function findCalibration(
  named: string | undefined,
  usual: string,
  here: Machine,
): UsedCalibration | undefined {
  const path = named ?? usual
  if (named === undefined && !existsSync(usual)) return undefined
  const calibration = readCalibration(path)
  refuseOtherMachine(path, calibration, here)
  const { runs, wanted, thresholds } = calibration
  const found = new Map(thresholds.map((one) => [`${one.scenario} ${one.metric}`, one.threshold]))
  const partial = runs.length < wanted ? ` of ${wanted}; continue with calibrate --resume` : ''
  return {
    path,
    threshold: (scenario, metric) => found.get(`${scenario} ${metric}`),
    note: `Thresholds of this machine, from ${path} (${runs.length} A/A runs${partial}).`,
  }
}
