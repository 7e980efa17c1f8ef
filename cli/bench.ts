/** `millrace bench`: what the load balancer costs. The harness is a package of its own, loaded when it is asked for. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { MillraceError } from '../core/host/errors.ts'
import type { Host, Verb } from './main.ts'

const importBench = () => import('@millrace/bench')
type Bench = Awaited<ReturnType<typeof importBench>>

/** Exit statuses of every `bench` command. */
const status = { fine: 0, regression: 1, 'too noisy': 2, usage: 3 } as const

interface Common {
  readonly out?: string
  readonly seed?: string
  readonly confidence: string
}

async function loadBench(): Promise<Bench> {
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

function numberOf(name: string, text: string, below: number): number {
  const value = Number(text)
  if (value > 0 && value < below) return value
  throw new MillraceError(
    'MR_USAGE',
    `--${name}: a number above 0 and below ${below} expected, not "${text}"`,
  )
}

/** Ctrl-C and SIGTERM end the run and what it started. */
function interruptible(): AbortSignal {
  const controller = new AbortController()
  const stop = () => controller.abort(new Error('interrupted'))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  return controller.signal
}

function common(options: Common) {
  return {
    seed: options.seed === undefined ? Date.now() % 2 ** 31 : numberOf('seed', options.seed, 2 ** 31),
    confidence: numberOf('confidence', options.confidence, 1),
    signal: interruptible(),
  }
}

function withCommon(command: Command): Command {
  return command
    .option('--out <dir>', 'where the results go (bench-results)')
    .option('--seed <n>', 'repeats an earlier order')
    .option('--confidence <share>', 'of every interval', '0.99')
}

export const bench: Verb = (program, host) => {
  const verb = program
    .command('bench')
    .description('measure what the load balancer costs; exit 0 fine, 1 worse, 2 unclear, 3 usage')
  withCommon(verb.command('run [suite]'))
    .description('measure a suite: quick (three minutes), shapes (a quarter of an hour) or full')
    .option('--quick', 'the suite quick, which is the default')
    .option('--full', 'the suite full')
    .option('--arms <list>', 'a,b,c instead of the arms of the suite')
    .option(
      '--arm <arm>',
      'one more: core+PLUGIN (name, path or package), core+PLUGIN={"option":1}, core+PLUGIN=options.yaml, config:FILE',
      (arm: string, before: readonly string[] | undefined) => [...(before ?? []), arm],
    )
    .option('--load <tool>', 'of the closed loops: wrk (where it is installed) or autocannon')
    .action((suite: string | undefined, options: RunOptions) =>
      attempt(host, () => run(host, suite ?? (options.full ? 'full' : 'quick'), options)),
    )
  withCommon(verb.command('compare <base> <head>'))
    .description('two git revisions side by side; "." is the working tree')
    .option('--config <file>', 'what both run, from the root of each revision; its addresses are replaced')
    .action((base: string, head: string, options: Common & { config?: string }) =>
      attempt(host, () => compare(host, base, head, options)),
    )
}

/** Whatever cannot be measured is status 3: 1 and 2 say something about the measured. */
async function attempt(host: Host, work: () => Promise<number>): Promise<void> {
  try {
    host.finish(await work())
  } catch (error) {
    host.terminal.err(`millrace bench: ${error instanceof Error ? error.message : String(error)}`)
    host.finish(status.usage)
  }
}

interface RunOptions extends Common {
  readonly full?: boolean
  readonly arms?: string
  readonly arm?: readonly string[]
  readonly load?: string
}

async function run(host: Host, name: string, options: RunOptions): Promise<number> {
  const { chooseArms, findSuite, runSuite, writeResults } = await loadBench()
  const say = (text: string): void => host.terminal.out(text)
  const found = findSuite(name)
  const { names, arms } = await chooseArms(found.arms, { list: options.arms, more: options.arm })
  const suite = { ...found, arms: names }
  const results = await runSuite({ suite, arms, load: options.load, ...common(options), say })
  const out = options.out ?? 'bench-results'
  say(writeResults(results, out))
  return status.fine
}

async function compare(
  host: Host,
  base: string,
  head: string,
  options: Common & { config?: string },
): Promise<number> {
  const { compareRevisions, writeResults } = await loadBench()
  const say = (text: string): void => host.terminal.out(text)
  const { config } = options
  const compared = await compareRevisions({ base, head, config, ...common(options), say })
  const out = options.out ?? 'bench-results'
  say(writeResults(compared.results, out))
  if (compared.rerun) say(writeResults(compared.rerun, join(out, 'rerun')))
  for (const { scenario, metric, relative } of compared.worse)
    say(`worse both times: ${metric} in ${scenario}, by ${(relative.median * 100).toFixed(1)} %`)
  say(compared.judgement)
  return status[compared.judgement]
}
