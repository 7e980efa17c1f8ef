/** `millrace bench calibrate`: how far the same code differs from itself on this machine. */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { Host } from '../main.ts'
import { attempt, type Common, calibrationFile, common, loadBench, status, withCommon } from './common.ts'

interface CalibrateOptions extends Common {
  readonly runs: number
  readonly resume?: boolean
}

/** Fewer say nothing of their spread; more than 1,000 are a slip. */
function runsOf(text: string): number {
  const runs = Number(text)
  if (Number.isInteger(runs) && runs > 0 && runs <= 1000) return runs
  throw new InvalidArgumentError('a whole number from 1 to 1000 expected.')
}

export function addCalibrate(verb: Command, host: Host): void {
  withCommon(verb.command('calibrate [suite]'), `the file to write (${calibrationFile})`, '<file>')
    .description('the same code against itself: its noise becomes the thresholds of compare here')
    .option('--runs <n>', 'A/A runs', runsOf, 20)
    .option('--resume', 'go on with an earlier file, up to --runs')
    .action((suite: string | undefined, options: CalibrateOptions) =>
      attempt(host, () => run(host, suite, options)),
    )
}

async function run(host: Host, suite: string | undefined, options: CalibrateOptions): Promise<number> {
  const { calibrate, calibrationText, suiteToCalibrate } = await loadBench()
  const { directory, out: say } = host.terminal
  const file = resolve(directory, options.out ?? calibrationFile)
  const { runs, resume = false } = options
  const found = await calibrate({
    ...{ suite: suiteToCalibrate(suite), runs, file, resume, ...common(options) },
    say: (text) => say(text),
  })
  say(calibrationText(found))
  say(`seed ${found.seed}; written to ${file}`)
  return found.runs.length < runs ? status.usage : status.fine
}
