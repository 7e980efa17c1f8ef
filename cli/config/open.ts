/** The store and the plugins that a command of `millrace config` works with. */
import { randomUUID } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { readFleetKeys, readPluginSources } from '../../core/config/load.ts'
import type { PluginUse } from '../../core/config/snapshot.ts'
import type { ConfigStore } from '../../core/contracts/index.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { openStore } from '../../core/host/open-store.ts'
import type { PluginRegistry } from '../../core/host/registry.ts'
import { builtins } from '../../plugins/manifest.ts'
import { UsageError } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { Announcer } from './announcer.ts'
import { parseStoreUrl } from './store-url.ts'

/** What every command of `millrace config` takes. */
export interface StoreFlags {
  readonly store?: string
  readonly fleet?: string
  readonly config?: string
}

export interface Session {
  readonly store: ConfigStore
  readonly registry: PluginRegistry
  readonly terminal: Terminal
  /** Tells the fleet of what was committed. */
  readonly announcer: Announcer
}

const fleetPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/**
 * Opens the store, and closes it when the work is done.
 * @param file a config whose `plugins` are loaded and whose `fleetKey` is used; `-c` comes before it
 * @param make whether a store that is not there is begun
 */
export async function withStore<T>(
  terminal: Terminal,
  flags: StoreFlags,
  how: { readonly file?: string; readonly make: boolean },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const { store: url, fleet = 'default', config = how.file } = flags
  if (url === undefined) throw new UsageError('which store? --store sqlite:PATH')
  if (!fleetPattern.test(fleet))
    throw new UsageError(`--fleet: expected letters, digits, ".", "_" and "-", not ${JSON.stringify(fleet)}`)
  const from = config && { path: path.resolve(terminal.directory, config) }
  const sources = from ? await readPluginSources(from, { env: terminal.env }) : []
  const fleetKeys = from ? await readFleetKeys(from, { env: terminal.env }) : []
  const registry = await loadPlugins(sources, builtins)
  const use = parseStoreUrl(url, terminal.directory, registry.names('config-store'))
  if (!how.make) checkThere(use)
  const opened = await openStore(use, {
    registry,
    fleet,
    node: { id: 'cli', boot: randomUUID() },
    data: tmpdir(),
    directory: terminal.directory,
    random: Math.random,
    log: {
      debug() {},
      info() {},
      warn: (message) => terminal.err(`${terminal.style('yellow', 'warning:')} ${message}`),
      error: (message) => terminal.err(`${terminal.style('red', 'millrace:')} ${message}`),
    },
  })
  const { store } = opened
  const announcer = new Announcer({ store, use, registry, fleet, fleetKeys, directory: terminal.directory })
  try {
    return await work({ store, registry, terminal, announcer })
  } finally {
    await announcer.close()
    await opened.stop()
  }
}

/** A slip in a path must not begin an empty store that then seems to hold nothing. */
function checkThere({ use, options }: PluginUse): void {
  if (use !== 'sqlite') return
  const file = String(options.path)
  const isThere = existsSync(file)
  // To open an empty one would make a store of it.
  if (isThere && statSync(file).size > 0) return
  throw new UsageError(
    `--store: there is no ${isThere ? 'store in the ' : ''}file ${file}; \`millrace config apply\` begins a store`,
  )
}
