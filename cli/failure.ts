/** How an error is told, and with what exit status: 2 where the config (or the command line) is to be changed, else 1. */
import { ConfigError, formatProblems } from '../core/config/problems.ts'
import { MillraceError } from '../core/host/errors.ts'
import type { PortOwner } from './port-owner.ts'
import type { Terminal } from './terminal.ts'

/** A mistake on the command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const configCodes = /^MR_(CONFIG|PLUGIN|CERTIFICATE)/

function causesOf(error: Error): string {
  const { cause } = error
  if (!(cause instanceof Error) || error.message.includes(cause.message)) return ''
  return `\n  because: ${cause.message}${causesOf(cause)}`
}

/** Prints the error and returns the exit status. */
export function tellFailure(
  error: unknown,
  terminal: Terminal,
  portOwner: (port: number) => PortOwner | undefined,
): number {
  if (error instanceof ConfigError) {
    terminal.err(formatProblems(error.problems))
    return 2
  }
  const label = terminal.style('red', 'millrace:')
  if (error instanceof UsageError) {
    terminal.err(`${label} ${error.message}`)
    return 2
  }
  if (error instanceof MillraceError) {
    terminal.err(`${label} ${error.code} ${error.message}${causesOf(error)}`)
    const [, port] = (error.code === 'MR_LISTEN' && /:(\d+) is in use/.exec(error.message)) || []
    const owner = port && portOwner(Number(port))
    if (owner) terminal.err(`  port ${port} is held by pid ${owner.pid} (${owner.command})`)
    return configCodes.test(error.code) ? 2 : 1
  }
  terminal.err(`${label} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  return 1
}
