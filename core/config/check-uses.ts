/** Plugin uses against the loaded plugins: unknown names and wrong options are problems of the config. */
import type { PluginKind } from '../contracts/plugin.ts'
import { closest } from '../host/did-you-mean.ts'
import type { PluginCatalog } from './catalog.ts'
import type { ConfigDocument } from './document.ts'
import type { ConfigPath } from './problems.ts'
import { isOff, optionsOf, slotKeys, useName } from './uses.ts'

/** Checks one use; a malformed one is left to the schema. */
export function checkUse(
  document: ConfigDocument,
  catalog: PluginCatalog,
  kind: PluginKind,
  use: unknown,
  path: ConfigPath,
): void {
  const name = useName(use)
  if (name === undefined || ((kind === 'circuit-breaker' || kind === 'health-source') && isOff(use))) return
  const names = catalog.names(kind)
  if (!names.includes(name)) {
    reportUnknown(document, catalog, kind, name, typeof use === 'string' ? path : [...path, 'use'])
    return
  }
  for (const problem of catalog.validateOptions(kind, name, optionsOf(kind, use))) {
    const at = [...path, ...problem.path]
    const word = problem.path.at(-1)
    const slot = closest(String(word), slotKeys[kind])
    const hint = problem.suggestion ?? (isUnknown(use, problem.path) ? slot : undefined)
    document.report({
      code: 'MR_PLUGIN_OPTIONS',
      message: `${name}: ${document.redact(problem.message)}`,
      path: at,
      suggestion: hint === undefined ? undefined : document.redact(sentence(hint)),
      atKey: isUnknown(use, problem.path) && /unknown|unrecogni[sz]ed|not known/i.test(problem.message),
    })
  }
}

function reportUnknown(
  document: ConfigDocument,
  catalog: PluginCatalog,
  kind: PluginKind,
  name: string,
  path: ConfigPath,
): void {
  const names = catalog.names(kind)
  const near = closest(name, names)
  const file = catalog.unnamedFile?.(name)
  // What is no likely slip may be the name of a plugin that could not be loaded, which is a problem of its own.
  const isLost = catalog.missing !== undefined && (near === undefined || catalog.missing.has(name))
  if (isLost && file === undefined) return
  document.report({
    code: 'MR_PLUGIN_UNKNOWN',
    message: `no ${kind} plugin is called ${document.show(path, name)}`,
    path,
    suggestion: file === undefined ? hintFor(near, names) : `name its file under plugins: [${file}]`,
  })
}

/** One key that really stands in the use: the problem may be the key itself. */
function isUnknown(use: unknown, path: readonly (string | number)[]): boolean {
  const [key] = path
  return (
    path.length === 1 &&
    typeof use === 'object' &&
    use !== null &&
    key !== undefined &&
    Object.hasOwn(use, key)
  )
}

/** A single word is what was meant; anything longer speaks for itself. */
function sentence(hint: string): string {
  return /\s/.test(hint) ? hint : `did you mean ${JSON.stringify(hint)}?`
}

function hintFor(near: string | undefined, names: readonly string[]): string {
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`
  return names.length === 0 ? 'none is loaded' : `loaded are ${names.join(', ')}`
}
