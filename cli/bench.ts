/** `millrace bench`: what the load balancer costs. The harness is loaded when it is asked for. */
import { join } from 'node:path'
import { addCalibrate } from './bench/calibrate.ts'
import {
  attempt,
  type Common,
  calibrationFile,
  common,
  loadBench,
  resultsFolder,
  roundsOf,
  status,
  withCommon,
} from './bench/common.ts'
import { addPaper } from './bench/paper.ts'
import { addPlugin } from './bench/plugin.ts'
import { addReport } from './bench/report.ts'
import { addSync } from './bench/sync.ts'
import type { Host, Verb } from './main.ts'

export const bench: Verb = (program, host) => {
  const verb = program
    .command('bench')
    .description('measure what the load balancer costs; exit 0 fine, 1 worse, 2 unclear, 3 usage')
  withCommon(verb.command('run [suite]'))
    .description(
      'measure a suite: quick (three minutes), p99 (the gate of the core), shapes (a quarter of an hour) or full',
    )
    .option('--quick', 'the suite quick, which is the default')
    .option('--full', 'the suite full')
    .option('--arms <list>', 'a,b,c instead of the arms of the suite')
    .option(
      '--arm <arm>',
      'one more: core+PLUGIN (name, path or package), core+PLUGIN={"option":1}, core+PLUGIN=options.yaml, config:FILE',
      (arm: string, before: readonly string[] | undefined) => [...(before ?? []), arm],
    )
    .option('--rounds <n>', 'blocks of each arm; fewer than eight give no verdict')
    .option('--load <tool>', 'of the closed loops: wrk (where it is installed) or autocannon')
    .action((suite: string | undefined, options: RunOptions) =>
      attempt(host, () => run(host, suite ?? (options.full ? 'full' : 'quick'), options)),
    )
  withCommon(verb.command('compare <base> <head>'))
    .description(
      'two git revisions side by side, of Millrace in its checkout, else of your config; "." is the working tree',
    )
    .option('--config <file>', 'what both run, each revision its own; its addresses are replaced')
    .option('--calibration <file>', `thresholds of this machine (${calibrationFile}, if it is there)`)
    .option('--no-calibration', 'the starting thresholds')
    .action((base: string, head: string, options: CompareOptions) =>
      attempt(host, () => compare(host, base, head, options)),
    )
  addCalibrate(verb, host)
  addReport(verb, host)
  addPlugin(verb, host)
  addPaper(verb, host)
  addSync(verb, host)
}

interface RunOptions extends Common {
  readonly full?: boolean
  readonly arms?: string
  readonly arm?: readonly string[]
  readonly load?: string
  readonly rounds?: string
}

async function run(host: Host, name: string, options: RunOptions): Promise<number> {
  const { chooseArms, findSuite, runSuite, writeResults } = await loadBench()
  const say = (text: string): void => host.terminal.out(text)
  const found = findSuite(name)
  const { names, arms } = await chooseArms(
    found.arms,
    { list: options.arms, more: options.arm },
    host.terminal.directory,
  )
  const rounds = roundsOf(options.rounds) ?? found.rounds
  const suite = { ...found, arms: names, rounds }
  const results = await runSuite({ suite, arms, load: options.load, ...common(options), say })
  const out = options.out ?? resultsFolder
  say(writeResults(results, out))
  if (suite.gate === undefined) return status.fine
  if (results.gate === undefined) say('too noisy to judge the gate: no round counts for all of its arms')
  return { met: status.fine, missed: status.regression, unclear: status['too noisy'] }[
    results.gate?.outcome ?? 'unclear'
  ]
}

interface CompareOptions extends Common {
  readonly config?: string
  /** false: --no-calibration. */
  readonly calibration?: string | false
}

async function compare(host: Host, base: string, head: string, options: CompareOptions): Promise<number> {
  const { compareRevisions, describeMachine, findCalibration, writeResults } = await loadBench()
  const say = (text: string): void => host.terminal.out(text)
  const { config, calibration: named } = options
  const { directory } = host.terminal
  const machine = describeMachine(directory)
  const calibration = named === false ? undefined : findCalibration(named, calibrationFile, machine)
  if (calibration) say(calibration.note)
  const revisions = { base, head, config, directory }
  const compared = await compareRevisions({ ...revisions, calibration, ...common(options), say })
  const out = options.out ?? resultsFolder
  say(writeResults(compared.results, out))
  if (compared.rerun) say(writeResults(compared.rerun, join(out, 'rerun')))
  for (const { scenario, metric, relative } of compared.worse)
    say(`worse both times: ${metric} in ${scenario}, by ${(relative.median * 100).toFixed(1)} %`)
  say(compared.judgement)
  return status[compared.judgement]
}
