/** Whose code threw where nobody caught it: the stack names the files, and plugin files carry their version. */
import type { LoadedPlugin } from '../host/registry.ts'
import { isInNodeModules } from '../host/resolver.ts'

/** The plugin whose code stands nearest to the throw; undefined where the stack shows none. */
export function blame(stack: string, plugins: readonly LoadedPlugin[]): LoadedPlugin | undefined {
  for (const line of stack.split('\n')) {
    const url = /file:\/\/[^\s)]+/.exec(line)?.[0]
    if (url === undefined) continue
    const found = plugins.find((loaded) => owns(loaded, url))
    if (found) return found
  }
  return undefined
}

/** What can be told of whatever code threw: a plugin's error may carry anything under these names. */
export function toldOf(error: unknown): { readonly stack: string; readonly message: string } {
  if (!(error instanceof Error)) return { stack: '', message: String(error) }
  return { stack: String(error.stack ?? ''), message: String(error.message) }
}

function owns({ source, definition, hash, entry }: LoadedPlugin, url: string): boolean {
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
