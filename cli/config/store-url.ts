/** `--store URL` as a use of a `config-store`. */
import path from 'node:path'
import type { PluginUse } from '../../core/config/snapshot.ts'
import { UsageError } from '../failure.ts'

const expected = 'expected sqlite:PATH, redis://HOST:PORT, rediss://HOST:PORT or zookeeper://HOST:PORT'

/** What may follow a scheme is the plugin's business, save a file's path. */
const byScheme: Readonly<Record<string, string>> = {
  redis: 'redis',
  rediss: 'redis',
  zookeeper: 'zookeeper',
}

/**
 * @param directory what a path is relative to
 * @param known names of the loaded stores
 * @throws UsageError; never with what may be a password
 */
export function parseStoreUrl(url: string, directory: string, known: readonly string[]): PluginUse {
  const [, scheme = '', rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(url) ?? []
  const name = scheme.toLowerCase()
  if (name === 'sqlite') {
    const file = rest.replace(/^\/\/(?=\/)/, '')
    if (file === '' || file.startsWith('//'))
      throw new UsageError('--store: expected sqlite:PATH, such as sqlite:./.millrace/store.db')
    return useOf('sqlite', { path: path.resolve(directory, file) }, known)
  }
  if (name === 'memory')
    throw new UsageError(
      `--store: the store memory lives in one process and would be gone with this command; ${expected}`,
    )
  const use = Object.hasOwn(byScheme, name) ? byScheme[name] : undefined
  if (use === undefined)
    throw new UsageError(`--store: ${scheme === '' ? 'this is no URL' : `${name}: is no store`}; ${expected}`)
  if (!/^\/\/[^/]/.test(rest)) throw new UsageError(`--store: ${name}: names no host; ${expected}`)
  return useOf(use, { url }, known)
}

function useOf(use: string, options: PluginUse['options'], known: readonly string[]): PluginUse {
  if (!known.includes(use))
    throw new UsageError(
      `--store: the store ${use} is not available in this version; there is ${known.join(', ')}`,
    )
  return { use, options, path: '--store' }
}
