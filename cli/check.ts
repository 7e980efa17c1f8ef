/** `millrace check`: is a config file right? */

import type { LoadedConfig } from '../core/config/load.ts'
import { findConfig, loadWithPlugins, tellWarnings } from './load.ts'
import type { Verb } from './main.ts'

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

export const check: Verb = (program, { terminal }) =>
  program
    .command('check [file]')
    .description('check a config file with its plugins; every problem with its line, exit status 2')
    .option('-c, --config <file>', 'config file')
    .action(async (file: string | undefined, options: { config?: string }) => {
      const source = findConfig(terminal, file, options.config)
      const { config } = await loadWithPlugins(source, terminal.env)
      tellWarnings(config, terminal)
      terminal.out(`${file ?? options.config ?? source.path}: ok (${summary(config)})`)
    })
