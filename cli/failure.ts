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
  const { code } = cause as NodeJS.ErrnoException
  // The message has put the platform's words in better ones.
  if (code !== undefined && error.message.includes(`(${code})`)) return ''
  return `\n  because: ${cause.message}${causesOf(cause)}`
}

/** Says who has the port, in place of how to find that out. */
function withOwner(message: string, portOwner: (port: number) => PortOwner | undefined): string {
  return message.replace(/:(\d+) is in use by another process.*/, (whole, port: string) => {
    const owner = portOwner(Number(port))
    const who = owner && `pid ${owner.pid} (${owner.command}); end that, or listen elsewhere`
    return who ? `:${port} is in use by ${who}` : whole
  })
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
    const message = error.code === 'MR_LISTEN' ? withOwner(error.message, portOwner) : error.message
    terminal.err(`${label} ${error.code} ${message}${causesOf(error)}`)
    return configCodes.test(error.code) ? 2 : 1
  }
  terminal.err(`${label} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  return 1
}
