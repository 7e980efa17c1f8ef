/** `millrace bench report`: opens what was measured earlier or elsewhere. */
import type { Command } from 'commander'
import type { Host } from '../main.ts'
import { attempt, loadBench, resultsFolder, status } from './common.ts'

export function addReport(verb: Command, host: Host): void {
  verb
    .command('report [results...]')
    .description('all reports anew from a results.json or its folder; of several: how the figures went')
    .option('--out <dir>', 'where the reports go (beside the results)')
    .action((paths: string[], { out }: { out?: string }) =>
      attempt(host, async () => {
        const { history, remakeReports } = await loadBench()
        const [first = resultsFolder, ...others] = paths
        host.terminal.out(others.length > 0 ? history(paths, out) : remakeReports(first, out))
        return status.fine
      }),
    )
}
