/** `millrace plugin`: what an author of plugins needs. */
import type { Verb } from './main.ts'
import { type ListOptions, listPlugins } from './plugin/list.ts'
import { type NewOptions, newPlugin, writableKinds } from './plugin/new.ts'
import { testPlugin } from './plugin/test.ts'

export const plugin: Verb = (program, host) => {
  const verb = program.command('plugin').description('write, test and list plugins')
  verb
    .command('new <kind> <name>')
    .description(
      `write a plugin that works, with its test, into a new folder; kinds: ${writableKinds.join(', ')}`,
    )
    .option('--dir <folder>', 'the folder (default: the name)')
    .action((kind: string, name: string, options: NewOptions) => newPlugin(host, kind, name, options))
  verb
    .command('test [path]')
    .description(
      'run the tests of a folder (default: this one), or one test file, on node:test; nothing needs to be installed',
    )
    .action(async (place: string | undefined) => host.finish(await testPlugin(host.terminal, place ?? '.')))
  verb
    .command('list')
    .description(
      'the plugins that a config can use, with their options; where there is no config the built-in ones',
    )
    .option('-c, --config <file>', 'config file, for the plugins that it names')
    .option('-k, --kind <kind>', 'those of one kind')
    .option('--json', 'as JSON')
    .action((options: ListOptions) => listPlugins(host, options))
}
