/** `millrace bench plugin`: for whoever writes one. */
import type { Command } from 'commander'
import type { Host } from '../main.ts'
import { attempt, type Common, common, loadBench, roundsOf, status, withCommon } from './common.ts'

interface PluginOptions extends Common {
  readonly options?: string
  readonly config?: string
  readonly header?: readonly string[]
  readonly expect?: string
  readonly quick?: boolean
  readonly rounds?: string
}

export function addPlugin(verb: Command, host: Host): void {
  withCommon(verb.command('plugin <plugin>'))
    .description('what a plugin costs: file, folder, package or name of a built-in; two minutes')
    .option('--options <json>', 'its options, \'{"rate": 5}\' (else those of my-plugin.bench.yaml beside it)')
    .option('--config <file>', 'a config that uses it: its options there')
    .option(
      '--header <line>',
      "'name: value', sent with every request; may be repeated (else those of the same file)",
      (line: string, before: readonly string[] | undefined) => [...(before ?? []), line],
    )
    .option('--expect <status>', 'what a filter answers itself, where no backend is to be asked (200)')
    .option('--quick', 'under a minute')
    .option('--rounds <n>', 'blocks with and without it; fewer than eight give no verdict')
    .action((plugin: string, options: PluginOptions) => attempt(host, () => run(host, plugin, options)))
}

async function run(host: Host, plugin: string, given: PluginOptions): Promise<number> {
  const { benchPlugin } = await loadBench()
  const { directory, out: say } = host.terminal
  const { options, config, header: headers, expect, quick = false, out } = given
  const judgement = await benchPlugin({
    ...{ plugin, directory, options, config, headers, expect, quick, out },
    ...{ rounds: roundsOf(given.rounds), ...common(given) },
    say: (text) => say(text),
  })
  return { fine: status.fine, 'too noisy': status['too noisy'], unusable: status.usage }[judgement]
}
