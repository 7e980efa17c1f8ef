/** What the verbs of `millrace bench` share: how the harness is loaded, options that all have, exit statuses. */
import { delimiter } from 'node:path'
import type { Command } from 'commander'
import { MillraceError } from '../../core/host/errors.ts'
import type { Host } from '../main.ts'

const importBench = () => import('@millrace/bench')
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

export async function loadBench(): Promise<Bench> {
  // Debian keeps nginx and haproxy where the PATH of most users does not lead.
  process.env.PATH = [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter)
  try {
    return await importBench()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new MillraceError(
      'MR_PACKAGE_MISSING',
      'the benchmark harness is not installed: npm install --save-dev @millrace/bench',
      { cause: error },
    )
  }
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

/** Whatever cannot be measured is status 3: 1 and 2 say something about the measured. */
export async function attempt(host: Host, work: () => Promise<number>): Promise<void> {
  try {
    host.finish(await work())
  } catch (error) {
    host.terminal.err(`millrace bench: ${error instanceof Error ? error.message : String(error)}`)
    host.finish(status.usage)
  }
}
