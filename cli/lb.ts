/** `millrace lb`: one LB server from a config file. */
import { Option } from 'commander'
import { systemClock } from '../core/host/clock.ts'
import { findConfig } from './load.ts'
import { createLog, type LogFormat, type LogLevel, logFormats, logLevels } from './log.ts'
import type { Verb } from './main.ts'
import { listenerUrl, type ServeOptions, serve } from './serve.ts'

interface LbOptions {
  readonly config?: string
  readonly log: LogFormat
  readonly logLevel: LogLevel
}

export const lb: Verb = (program, { terminal, finish, version }) =>
  program
    .command('lb')
    .description('run an LB server; SIGHUP or a changed file reloads, SIGTERM drains')
    .option('-c, --config <file>', 'config file')
    .addOption(new Option('--log <format>', 'log on standard error').choices(logFormats).default('json'))
    .addOption(new Option('--log-level <level>').choices(logLevels).default('info'))
    .action(async (options: LbOptions) => {
      const { log: format, logLevel: level } = options
      const log = createLog({ format, level, terminal, wall: systemClock.wall })
      const source = findConfig(terminal, options.config)
      const { env } = terminal
      const started: ServeOptions['started'] = (server, _loaded, api) => {
        for (const { name } of server.listeners)
          log.info('listening', { listener: name, url: listenerUrl(server, name) })
        if (api) log.info('listening', { api: api.url })
      }
      const common = { interactive: false, version, api: 'configured' } as const
      finish(await serve({ source, env, terminal, log, ...common, started }))
    })
