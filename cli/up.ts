/** `millrace up`: everything in one process tree. Without a config it runs a demo. */
import path from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import type { ApiServer } from '../core/api/server.ts'
import { systemClock } from '../core/host/clock.ts'
import { MillraceError } from '../core/host/errors.ts'
import type { LbServer } from '../core/threads/lb-server.ts'
import { type Demo, demoConfig, startDemo } from './demo.ts'
import { UsageError } from './failure.ts'
import { createLog, type LogFormat, type LogLevel, logFormats, logLevels } from './log.ts'
import type { Host, Verb } from './main.ts'
import { listenerUrl, type ServeOptions, serve } from './serve.ts'

interface UpOptions {
  readonly config?: string
  readonly port?: number
  readonly log: LogFormat
  readonly logLevel: LogLevel
}

const demoPort = 8080

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1
  if (port < 0 || port > 65_535) throw new InvalidArgumentError('a port is a number from 0 to 65535.')
  return port
}

export const up: Verb = (program, host) =>
  program
    .command('up')
    .description('run everything in one process tree; without -c, a demo with three backends of its own')
    .option('-c, --config <file>', 'config file')
    .option('-p, --port <port>', `port of the demo (default: ${demoPort})`, parsePort)
    .addOption(new Option('--log <format>', 'log on standard error').choices(logFormats).default('pretty'))
    .addOption(new Option('--log-level <level>').choices(logLevels).default('info'))
    .action(async (options: UpOptions) => {
      const { terminal, finish } = host
      const { log: format, logLevel: level } = options
      const log = createLog({ format, level, terminal, wall: systemClock.wall })
      const common = { terminal, log, interactive: true, version: host.version, api: 'usual' } as const
      if (options.config === undefined) return finish(await runDemo(host, options.port ?? demoPort, common))
      if (options.port !== undefined)
        throw new UsageError('--port belongs to the demo; with -c the address stands under `listeners:`')
      const source = { path: path.resolve(terminal.directory, options.config) }
      const started: ServeOptions['started'] = (server, _loaded, api) =>
        terminal.out(placesText(server, host, { api }))
      finish(await serve({ ...common, source, env: terminal.env, started }))
    })

type Common = Pick<ServeOptions, 'terminal' | 'log' | 'interactive' | 'version' | 'api'>

async function runDemo(host: Host, port: number, common: Common): Promise<number> {
  const { terminal, log } = common
  const demo = await startDemo(port, ({ number, pid }, how) =>
    log.warn(`demo backend ${number} (pid ${pid}) is gone: ${how}; the others serve its requests`),
  )
  try {
    return await serve({
      ...common,
      source: { path: demoConfig },
      env: { ...terminal.env, ...demo.env },
      started: (server) => terminal.out(placesText(server, host, { demo })),
    })
  } catch (error) {
    throw withPortHint(error, port, terminal.env)
  } finally {
    await demo.stop()
  }
}

function withPortHint(error: unknown, port: number, env: Host['terminal']['env']): unknown {
  if (!(error instanceof MillraceError) || error.code !== 'MR_LISTEN') return error
  const command = env.npm_lifecycle_event === 'start' ? 'npm start --' : 'millrace up'
  const hint = `${error.message}\n  another port: ${command} --port ${port < 65_535 ? port + 1 : 8080}`
  return new MillraceError(error.code, hint, { path: error.path, cause: error.cause })
}

/** A place to look at: what it is, where, and what to do there. */
type Place = readonly [what: string, where: string, note: string]

interface Beside {
  readonly demo?: Demo
  readonly api?: ApiServer | undefined
}

function placesText(server: LbServer, { version }: Host, { demo, api }: Beside): string {
  const places = server.listeners.map(({ name }): Place => {
    const url = listenerUrl(server, name)
    return [demo ? 'proxy' : name, url, demo ? `try: curl -i ${url}` : '']
  })
  if (server.admin) {
    const url = `http://${server.admin.address}:${server.admin.port}`
    places.push(['admin', url, '/v1/services  /metrics  /readyz?verbose'])
  }
  if (api) places.push(['api', api.url, '/openapi.json  /v1/config  /v1/nodes'])
  for (const { number, pid, url } of demo?.backends ?? [])
    places.push([`backend ${number}`, url, `pid ${pid}`])
  if (demo) places.push(['config', demoConfig, ''])
  const widths = [0, 1].map((column) => Math.max(...places.map((place) => place[column].length)))
  const rows = places.map(([what, where, note]) =>
    `  ${what.padEnd(widths[0])}  ${where.padEnd(widths[1])}  ${note}`.trimEnd(),
  )
  const first = demo?.backends[0].pid
  const hint = demo ? `  Stop a backend while requests flow (kill ${first}): none is lost. ` : ' '
  const title = `Millrace ${version}${demo ? ', demo' : ''}`
  return `\n${title}\n\n${rows.join('\n')}\n\n${hint} Ctrl-C ends.\n`
}
