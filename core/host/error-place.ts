/** Where in a plugin's own code an error was thrown: its stack names the files, and plugin files carry their version. */
import { realpathSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PluginSource } from '../config/snapshot.ts'
import type { LoadedPlugin } from './registry.ts'
import { isInNodeModules, withoutVersions } from './resolver.ts'

type Owner = Pick<LoadedPlugin, 'source' | 'definition' | 'hash' | 'entry'>

/** URL and line of each frame that names a file. */
const frames = /(file:\/\/\S+):(\d+):\d+\)?$/gm

/** `plugins/gate.ts:7`, of the topmost frame in the code of the plugin; undefined where the stack shows none, and for built-ins. */
export function placeInPlugin(error: unknown, loaded: Owner): string | undefined {
  const { source } = loaded
  if (source === 'built-in' || !(error instanceof Error)) return undefined
  for (const [, url, line] of String(error.stack ?? '').matchAll(frames))
    if (owns(loaded, url)) return `${shownFile(url, source)}:${line}`
  return undefined
}

/** `helper.ts:2`, of the topmost frame in code that is loaded by its version, else of the topmost one in a file. */
export function placeWhileLoading(error: Error, source: PluginSource): string | undefined {
  const found = [...String(error.stack ?? '').matchAll(frames)]
  const [, url, line] = found.find(([, one]) => one !== withoutVersions(one)) ?? found[0] ?? []
  return url === undefined ? undefined : `${shownFile(url, source)}:${line}`
}

/** The path of a file as a person finds it from the folder of the config; an absolute one where the config has that. */
export function shownFile(url: string, { kind, specifier, location }: PluginSource): string {
  const file = fileURLToPath(withoutVersions(url))
  if (kind === 'package') return path.relative(fileURLToPath(location), file)
  if (path.isAbsolute(specifier) || specifier.startsWith('file:')) return file
  return path.join(path.dirname(specifier), path.relative(behindLinks(path.dirname(location)), file))
}

/** Whether the URL, as a stack has it, is of the plugin's code. */
export function owns({ source, definition, hash, entry }: Owner, url: string): boolean {
  // By convention the file of a built-in is named after it.
  if (source === 'built-in')
    return new RegExp(`/plugins/${definition.kind}/${definition.name}[./]`).test(url) && !url.includes('?')
  if (source.kind === 'path') return url.includes(`millrace=${hash}`)
  return entry !== undefined && isInNodeModules(entry) && url.startsWith(packageFolder(entry))
}

/** `file:///…/node_modules/@acme/jwt/` of a file in it. */
function packageFolder(entry: string): string {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(entry)?.[0] ?? entry
}

/** Node names a module by the file that links lead to. */
function behindLinks(folder: string): string {
  try {
    return realpathSync(folder)
  } catch {
    return folder
  }
}
