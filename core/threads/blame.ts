/** Whose code threw where nobody caught it: the stack names the files, and plugin files carry their version. */
import { owns } from '../host/error-place.ts'
import type { LoadedPlugin } from '../host/registry.ts'

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
