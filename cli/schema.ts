/** `millrace schema`: the JSON Schema of the config, for editors. */
import path from 'node:path'
import { configJsonSchema } from '../core/config/json-schema.ts'
import { readPluginSources } from '../core/config/load.ts'
import { loadPlugins } from '../core/host/loader.ts'
import { builtins } from '../plugins/manifest.ts'
import type { Verb } from './main.ts'

export const schema: Verb = (program, { terminal }) =>
  program
    .command('schema')
    .description('print the JSON Schema of the config, with the options of every plugin')
    .option('-c, --config <file>', 'config file whose plugins are included')
    .action(async (options: { config?: string }) => {
      const { env, directory } = terminal
      const sources =
        options.config === undefined
          ? []
          : await readPluginSources({ path: path.resolve(directory, options.config) }, { env })
      const registry = await loadPlugins(sources, builtins)
      const catalog = registry.catalog()
      for (const { definition } of registry.list()) {
        if (catalog.jsonSchema(definition.kind, definition.name) !== undefined) continue
        const warning = `the schema library of ${definition.kind} ${definition.name} has no JSON Schema: any option is allowed there`
        terminal.err(`${terminal.style('yellow', 'warning:')} ${warning}`)
      }
      terminal.out(JSON.stringify(configJsonSchema(catalog), null, 2))
    })
