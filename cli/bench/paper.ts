/** `millrace bench paper`: published tables measured again. */
import type { Command } from 'commander'
import type { Host } from '../main.ts'
import { attempt, interruptible, loadBench, numberOf, resultsFolder, status } from './common.ts'

interface PaperFlags {
  readonly out?: string
  readonly only?: string
  readonly quick?: boolean
  readonly seed: string
}

export function addPaper(verb: Command, host: Host): void {
  verb
    .command('paper')
    .description('Maglev §5.3 again with the built-in algorithms; how much one 4 GB machine holds')
    .option('--out <dir>', `where the results go (${resultsFolder})`)
    .option('--only <part>', 'maglev or sizing')
    .option('--quick', 'under three minutes instead of ten')
    .option('--seed <n>', 'repeats the same names, failures and order', '1')
    .action((options: PaperFlags) => attempt(host, () => paper(host, options)))
}

async function paper(host: Host, { out, only, quick, seed }: PaperFlags): Promise<number> {
  const { findPaperPart, measurePaper, writePaper } = await loadBench()
  const say = (text: string): void => host.terminal.out(text)
  const results = await measurePaper({
    only: only === undefined ? undefined : findPaperPart(only),
    quick: quick ?? false,
    seed: numberOf('seed', seed, 2 ** 31),
    signal: interruptible(),
    say,
  })
  say(writePaper(results, out ?? resultsFolder))
  return status.fine
}
