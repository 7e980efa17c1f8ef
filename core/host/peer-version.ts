/** Whether an npm package with a plugin is made for this version of millrace: its `peerDependencies.millrace`, read before
 * any of its code runs. */
import { readFile } from 'node:fs/promises'
import type { PluginSource } from '../config/snapshot.ts'
import { MillraceError } from './errors.ts'

interface Manifest {
  readonly name?: unknown
  readonly version?: unknown
  readonly peerDependencies?: unknown
}

/** package.json lies above core/, in the checkout and in the package alike. */
const ownManifest = new URL('../../package.json', import.meta.url)

/**
 * A package that names no version is taken as it is: `api` in its plugin is checked in any case.
 *
 * @param entry URL of the module that would be imported
 * @throws MR_PLUGIN_VERSION, naming both versions
 */
export async function checkPeerVersion(source: PluginSource, entry: string): Promise<void> {
  const manifest = await manifestAbove(entry, packageName(source.specifier))
  const range = (manifest?.peerDependencies as Record<string, unknown> | undefined)?.millrace
  if (range === undefined) return
  const running = String((await manifestAt(ownManifest))?.version)
  const { default: semver } = await import('semver')
  const which = `Plugin ${source.specifier} (version ${String(manifest?.version)})`
  if (typeof range !== 'string' || semver.validRange(range) === null) {
    throw versionError(
      source,
      `${which} has ${JSON.stringify(range)} as "peerDependencies.millrace", which is no range of versions; this is millrace ${running}. Its author has to write e.g. "^${running}"`,
    )
  }
  // A pre-release is one of the version that it precedes: it must be possible to try plugins on it.
  if (semver.satisfies(running, range, { includePrerelease: true })) return
  throw versionError(
    source,
    `${which} is made for millrace ${range} ("peerDependencies" of its package.json); this is millrace ${running}. Install a version of ${packageName(source.specifier)} made for it, or another millrace`,
  )
}

/** `@scope/name/entry` → `@scope/name`. */
function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** The package.json of the package, not one of a folder inside it that only says how its files are to be read. */
async function manifestAbove(entry: string, name: string): Promise<Manifest | undefined> {
  if (!entry.startsWith('file:')) return undefined
  for (let folder = new URL('./', entry); ; folder = new URL('../', folder)) {
    const manifest = await manifestAt(new URL('package.json', folder))
    // Linked under another name (`npm install alias@npm:real`), the package has a name of its own.
    const isPackages = manifest?.name === name || manifest?.version !== undefined
    if (manifest && isPackages) return manifest
    if (folder.pathname === '/' || folder.pathname.endsWith('/node_modules/')) return undefined
  }
}

async function manifestAt(url: URL): Promise<Manifest | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(url, 'utf8'))
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    // None there, or one that Node itself will complain about.
    return undefined
  }
}

function versionError(source: PluginSource, message: string): MillraceError {
  return new MillraceError('MR_PLUGIN_VERSION', message, { plugin: source.specifier })
}
