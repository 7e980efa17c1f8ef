/** `millrace check`: is a config file right? */

import type { ConfigSource, LoadedConfig } from '../core/config/load.ts'
import { ConfigError } from '../core/config/problems.ts'
import { CodeRoom } from '../core/threads/code-room.ts'
import { tryUses } from '../core/threads/trial.ts'
import { builtinsUrl, findConfig, loadWithPlugins, tellWarnings } from './load.ts'
import type { Verb } from './main.ts'
import type { Terminal } from './terminal.ts'

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

function summary({ bootstrap, snapshot }: LoadedConfig): string {
  const services = Object.values(snapshot.services)
  return [
    counted(snapshot.listeners.length, 'listener'),
    counted(snapshot.routes.length, 'route'),
    counted(services.length, 'service'),
    counted(
      services.reduce((sum, service) => sum + service.backends.length, 0),
      'backend',
    ),
    counted(bootstrap.plugins.length, 'plugin file'),
  ].join(', ')
}

/** @throws ConfigError with every problem; what `create` of plugins says is asked for only where there is no other */
async function checked(source: ConfigSource, terminal: Terminal): Promise<LoadedConfig> {
  const room = new CodeRoom()
  try {
    const loaded = await loadWithPlugins(source, terminal.env, (plugin) => room.load(plugin))
    const { config } = loaded
    tellWarnings(config, terminal)
    const errors = await tryUses(loaded, room, builtinsUrl)
    if (errors.length === 0) return config
    const problems = errors.map((error) => config.problem(error))
    throw new ConfigError(problems.sort((a, b) => a.line - b.line || a.column - b.column))
  } finally {
    await room.close()
  }
}

export const check: Verb = (program, { terminal }) =>
  program
    .command('check [file]')
    .description(
      'check a config file with its plugins; every problem with its line, exit status 2. Each algorithm, breaker and filter is ' +
        'made once and stopped again; health sources, stores and syncs, which would connect, are not',
    )
    .option('-c, --config <file>', 'config file')
    .action(async (file: string | undefined, options: { config?: string }) => {
      const source = findConfig(terminal, file, options.config)
      const config = await checked(source, terminal)
      terminal.out(`${file ?? options.config ?? source.path}: ok (${summary(config)})`)
    })
