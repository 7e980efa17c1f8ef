/** Why an address could not be bound: said once, with the address, the cause and what to do. */
import { getSystemErrorMessage } from 'node:util'
import { MillraceError } from './errors.ts'

/** A socket path, or else host and port. */
export interface BindAddress {
  readonly host: string
  readonly port: number
  readonly socketPath: string
}

/** Where a listener listens, as `host:port` or a path; what a person would look for. */
function addressOf({ host, port, socketPath }: BindAddress): string {
  if (socketPath) return socketPath
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * @param who whose address it is, for the message
 * @param path where that stands in the config
 */
export function listenError(
  who: string,
  at: BindAddress,
  path: string,
  cause: NodeJS.ErrnoException,
): MillraceError {
  const code = cause.code ?? ''
  return new MillraceError('MR_LISTEN', `${who}: ${addressOf(at)} ${reasonOf(at, code, cause)}`, {
    path,
    cause,
  })
}

function reasonOf(at: BindAddress, code: string, cause: NodeJS.ErrnoException): string {
  const look = at.socketPath ? `lsof ${at.socketPath}` : `ss -ltnp 'sport = :${at.port}'`
  switch (code) {
    case 'EADDRINUSE':
      return `is in use by another process (${code}); to see which: ${look}`
    case 'EACCES':
      return at.socketPath
        ? `may not be made by this user (${code}); the folder must be writable`
        : `may not be bound by this user (${code}); ports below 1024 need root or CAP_NET_BIND_SERVICE`
    case 'EADDRNOTAVAIL':
      return `is not an address of this machine (${code}); to see which are: ip address`
    default:
      // The platform's own message would name address and code again.
      return cause.errno === undefined
        ? `cannot be bound: ${cause.message}`
        : `cannot be bound: ${getSystemErrorMessage(cause.errno)} (${code})`
  }
}

/** The same for a listener of the config. */
export function listenerError(
  listener: BindAddress & { readonly name: string },
  cause: NodeJS.ErrnoException,
): MillraceError {
  return listenError(`listener ${listener.name}`, listener, `listeners.${listener.name}`, cause)
}
