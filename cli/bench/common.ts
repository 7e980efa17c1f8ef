/** What the verbs of `millrace bench` share: how the harness is loaded, options that all have, exit statuses. */
import { delimiter } from 'node:path'
import type { Command } from 'commander'
import { MillraceError } from '../../core/host/errors.ts'
import type { Host } from '../main.ts'

const importBench = () => import('../../bench/index.ts')
export type Bench = Awaited<ReturnType<typeof importBench>>

/** Exit statuses of every `bench` command. */
export const status = { fine: 0, regression: 1, 'too noisy': 2, usage: 3 } as const

/** Where results go and are looked for, unless told otherwise. */
export const resultsFolder = 'bench-results'

/** Where `compare` looks for what `calibrate` wrote. */
export const calibrationFile = `${resultsFolder}/calibration.json`

export interface Common {
  readonly out?: string
  readonly seed?: string
  readonly confidence: string
}

/** @throws MR_PACKAGE_MISSING when packages that only it needs are not there */
export async function loadBench(): Promise<Bench> {
  // Debian keeps nginx and haproxy where the PATH of most users does not lead.
  process.env.PATH = [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter)
  const bench = await importBench()
  bench.checkPackages()
  return bench
}

/** @throws MR_USAGE unless it is above 0 and below `below` */
export function numberOf(name: string, text: string, below: number): number {
  const value = Number(text)
  if (value > 0 && value < below) return value
  throw new MillraceError(
    'MR_USAGE',
    `--${name}: a number above 0 and below ${below} expected, not "${text}"`,
  )
}

/** undefined: as many as the suite has. @throws MR_USAGE */
export function roundsOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Math.ceil(numberOf('rounds', text, 1000))
}

/** Ctrl-C and SIGTERM end the run and what it started. */
export function interruptible(): AbortSignal {
  const controller = new AbortController()
  const stop = () => controller.abort(new Error('interrupted'))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  return controller.signal
}

export function common(options: Common) {
  return {
    seed: options.seed === undefined ? Date.now() % 2 ** 31 : numberOf('seed', options.seed, 2 ** 31),
    confidence: numberOf('confidence', options.confidence, 1),
    signal: interruptible(),
  }
}

export function withCommon(
  command: Command,
  out = `where the results go (${resultsFolder})`,
  place = '<dir>',
): Command {
  return command
    .option(`--out ${place}`, out)
    .option('--seed <n>', 'repeats an earlier order')
    .option('--confidence <share>', 'of every interval', '0.99')
}

function wordsOf(error: unknown): string {
  if (error instanceof MillraceError) return `${error.code} ${error.message}`
  return error instanceof Error ? error.message : String(error)
}

/** Whatever cannot be measured is status 3: 1 and 2 say something about the measured. */
export async function attempt(host: Host, work: () => Promise<number>): Promise<void> {
  try {
    host.finish(await work())
  } catch (error) {
    host.terminal.err(`millrace bench: ${wordsOf(error)}`)
    host.finish(status.usage)
  }
}
