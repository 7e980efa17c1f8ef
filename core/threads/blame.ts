/** Whose code threw where nobody caught it: the stack names the files, and plugin files carry their version. */
import { owns } from '../host/error-place.ts'
import type { LoadedPlugin } from '../host/registry.ts'
import { withoutVersions } from '../host/resolver.ts'

/** The plugin whose code stands nearest to the throw; undefined where the stack shows none. */
export function blame(stack: string, plugins: readonly LoadedPlugin[]): LoadedPlugin | undefined {
  for (const url of urlsIn(stack)) {
    const found = plugins.find((loaded) => owns(loaded, url))
    if (found) return found
  }
  return undefined
}

/** Where the stack names a file of a plugin that is loaded by its version: its URL; of the nearest to the throw. */
export function codeUrl(stack: string): string | undefined {
  return urlsIn(stack).find((url) => url !== withoutVersions(url))
}

/** The stack names no file at all: the platform threw, or what was thrown has no stack. */
export function isOfThePlatform(stack: string): boolean {
  return urlsIn(stack).length === 0
}

/** In the order of the stack, without line and column. */
function urlsIn(stack: string): string[] {
  const frames = [...stack.matchAll(/^\s+at .*?(file:\/\/\S+)/gm)]
  return frames.map(([, frame]) => frame.replace(/(?::\d+){1,2}\)?,?$/, ''))
}

/** What can be told of whatever code threw: a plugin's error may carry anything under these names. */
export function toldOf(error: unknown): { readonly stack: string; readonly message: string } {
  if (!(error instanceof Error)) return { stack: '', message: String(error) }
  return { stack: String(error.stack ?? ''), message: String(error.message) }
}
