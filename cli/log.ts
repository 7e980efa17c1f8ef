/** The log of the process on standard error: short lines for people, or JSON (pino) for machines. */
import pino from 'pino'
import type { Log } from '../core/contracts/plugin.ts'
import type { Style, Terminal } from './terminal.ts'

export type LogFormat = 'pretty' | 'json'
export const logFormats: readonly LogFormat[] = ['pretty', 'json']
export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

const styles: Readonly<Record<LogLevel, Style>> = {
  debug: 'dim',
  info: 'green',
  warn: 'yellow',
  error: 'red',
}

export interface LogOptions {
  readonly format: LogFormat
  readonly level: LogLevel
  readonly terminal: Terminal
  /** Wall clock, in milliseconds. */
  wall(): number
}

function rendered(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
  if (value instanceof Error) return JSON.stringify(value.message)
  return JSON.stringify(value) ?? String(value)
}

/** Text of several lines, such as a stack: it goes below the message. */
const isLong = ([, value]: [string, unknown]): boolean => typeof value === 'string' && value.includes('\n')

/** Further lines stand under the message. */
const indent = `\n${' '.repeat('14:03:07 warn  '.length)}`

/** `14:03:07 warn  backend is down  service=api backend=http://127.0.0.1:9001` */
function prettyLog({ level, terminal, wall }: LogOptions): Log {
  const write =
    (own: LogLevel) =>
    (message: string, fields: Record<string, unknown> = {}): void => {
      if (logLevels.indexOf(own) < logLevels.indexOf(level)) return
      const time = new Date(wall()).toTimeString().slice(0, 8)
      const known = Object.entries(fields).filter(([, value]) => value !== undefined)
      const [long, short] = [known.filter(isLong), known.filter((field) => !isLong(field))]
      const tail = short.map(([name, value]) => ` ${name}=${rendered(value)}`).join('')
      const label = terminal.style(styles[own], own.padEnd(5))
      const [first, ...rest] = message.split('\n')
      const below = [...rest, ...long.map(([, value]) => terminal.style('dim', String(value)))]
      const text = [first + terminal.style('dim', tail), ...below].join('\n').replaceAll('\n', indent)
      terminal.err(`${terminal.style('dim', time)} ${label} ${text}`)
    }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

function jsonLog({ level, terminal }: LogOptions): Log {
  const logger = pino({ level, base: undefined }, { write: (line) => terminal.err(line.trimEnd()) })
  const write =
    (own: LogLevel) =>
    (message: string, fields: Record<string, unknown> = {}): void =>
      logger[own](fields, message)
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

export function createLog(options: LogOptions): Log {
  return options.format === 'json' ? jsonLog(options) : prettyLog(options)
}
