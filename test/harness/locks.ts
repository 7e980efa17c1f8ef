/** The built-in locks as a node has them, and something that a lock guards. */
import { randomUUID } from 'node:crypto'
import { type ConfigStore, type FencingToken, type Locker, MillraceError } from 'millrace'
import { type OpenLock, openLock } from '../../core/host/open-lock.ts'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { builtins } from '../../plugins/manifest.ts'
import { release, type Scoped } from './cleanup.ts'

export interface MadeLocker {
  readonly locker: Locker
  readonly warnings: string[]
  stop(): Promise<void>
}

export async function makeLocker(
  use: 'store' | 'redis' | 'redlock',
  options: Record<string, unknown>,
  given: Scoped & { readonly store?: ConfigStore; readonly id?: string; readonly fleet?: string } = {},
): Promise<MadeLocker> {
  const registry = new PluginRegistry()
  for (const plugin of builtins) registry.add(builtIn(plugin))
  const warnings: string[] = []
  const warn = (message: string): void => void warnings.push(message)
  const { id = 'n' } = given
  const self = { id, boot: randomUUID(), role: 'lb', address: '127.0.0.1:1', zone: '' } as const
  const made: OpenLock = await openLock(
    { use, options, path: 'lock' },
    {
      ...{ registry, self, store: given.store, fleet: given.fleet ?? 'default' },
      random: Math.random,
      log: { debug() {}, info() {}, warn, error: warn },
    },
  )
  release(given, () => made.stop())
  return { locker: made.locker, warnings, stop: () => made.stop() }
}

/** What a lock guards: takes the writes of the newest holder it has heard of, and refuses those of the ones before. */
export class Guarded {
  readonly writes: string[] = []
  #newest: FencingToken | undefined

  write(token: FencingToken, text: string): void {
    const newest = this.#newest
    if (newest && newest.lineage === token.lineage && newest.number > token.number)
      throw new MillraceError('MR_FENCED', `token ${token.number} is older than ${newest.number}`)
    this.#newest = token
    this.writes.push(text)
  }
}
