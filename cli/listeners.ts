/** Which listeners of a config a person means. */
import type { Config, ListenerConfig } from '../core/config/snapshot.ts'
import { addressText } from './effective.ts'
import { UsageError } from './failure.ts'

/**
 * All, or the one of that name, or those that a URL of this machine names by its port.
 * @param only name, as `-l` has it
 * @param port of a URL whose host is this machine; what stands in front of a listener may map another one to it
 * @throws UsageError where there is none
 */
export function chosenListeners(
  { snapshot, bootstrap }: Config,
  only: string | undefined,
  port: number | undefined,
): readonly ListenerConfig[] {
  const { listeners } = snapshot
  if (only !== undefined) {
    const named = listeners.filter(({ name }) => name === only)
    if (named.length > 0) return named
    throw new UsageError(notNamed(only, listeners, bootstrap.admin))
  }
  // Port 0 is any that is free when it starts.
  if (port === undefined || listeners.some((one) => one.port === 0 && one.socketPath === '')) return listeners
  const there = listeners.filter((one) => one.port === port)
  if (there.length > 0) return there
  const admin =
    bootstrap.admin?.port === port ? ': that is the admin listener, which takes no requests for services' : ''
  throw new UsageError(`no listener has the port ${port}${admin}; ${known(listeners)}`)
}

function notNamed(
  only: string,
  listeners: readonly ListenerConfig[],
  admin: Config['bootstrap']['admin'],
): string {
  const isAt = (one: { readonly host: string; readonly port: number }): boolean =>
    one.port > 0 && [addressText(one), `:${one.port}`, String(one.port)].includes(only)
  const meant = listeners.find(isAt)
  if (meant) return `-l takes the name of a listener, not its address: ${only} is -l ${meant.name}`
  const what =
    admin && isAt(admin) ? `${only} is the admin listener, which takes no requests for services` : undefined
  return `${what ?? `no listener is named ${only}`}; ${known(listeners)}`
}

const known = (listeners: readonly ListenerConfig[]): string =>
  `there are: ${listeners.map((one) => `${one.name} (${addressText(one)})`).join(', ')}`
