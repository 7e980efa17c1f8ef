/** `millrace bench sync`: the ways of keeping LB servers up to date, side by side on real servers. */
import type { Command } from 'commander'
import type { Host } from '../main.ts'
import { attempt, interruptible, loadBench, numberOf, resultsFolder, status } from './common.ts'

interface SyncFlags {
  readonly out?: string
  readonly only?: string
  readonly quick?: boolean
  readonly seed: string
}

export function addSync(verb: Command, host: Host): void {
  verb
    .command('sync')
    .description(
      'how fast a change reaches 1, 10 and 100 sync engines, what that costs, and what faults do, on real servers',
    )
    .option('--out <dir>', `where the results go (${resultsFolder})`)
    .option('--only <list>', 'a,b,c: names of syncs and stores')
    .option('--quick', 'seven minutes instead of twenty-five')
    .option('--seed <n>', 'repeats the same pauses', '1')
    .action((options: SyncFlags) => attempt(host, () => sync(host, options)))
}

async function sync(host: Host, { out, only, quick, seed }: SyncFlags): Promise<number> {
  const { chooseApproaches, measureSync, writeSync } = await loadBench()
  const say = (text: string): void => host.terminal.out(text)
  const results = await measureSync({
    approaches: chooseApproaches(only),
    quick: quick ?? false,
    seed: numberOf('seed', seed, 2 ** 31),
    signal: interruptible(),
  })
  say(writeSync(results, out ?? resultsFolder))
  return status.fine
}
