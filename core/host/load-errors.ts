/** Turns what Node says about a module that does not load into what its author has to do. */
import { readdir, readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PluginSource } from '../config/snapshot.ts'
import { closest, didYouMean } from './did-you-mean.ts'
import { placeWhileLoading, shownFile } from './error-place.ts'
import { MillraceError } from './errors.ts'
import { resolveFrom, withoutVersions } from './resolver.ts'

interface NodeError extends Error {
  readonly code?: string
  readonly url?: string
  readonly path?: string
}

/** What to write instead of the syntax that type stripping refuses, by the words of Node's message. */
const erasable: readonly (readonly [what: RegExp, fix: string])[] = [
  [/enum/, 'write a constant object and a union type: const Color = { red: 1 } as const'],
  [/namespace|module/, 'put what is in the namespace into a file of its own, or into an object'],
  [/parameter propert/, 'declare the field in the class and assign it in the constructor'],
  [/import equals/, "write import fs from 'node:fs'"],
  [/export assignment/, 'write export default'],
]

/** @returns MR_PLUGIN_LOAD with the plugin as the config names it, the file and line where Node tells them, and the fix */
export async function explainLoadError(error: unknown, source: PluginSource): Promise<MillraceError> {
  if (!(error instanceof Error))
    return loadError(source, `threw ${String(error)} while it was imported`, error)
  const what =
    (await explainFault(error, source)) ?? `threw while it was imported: ${thrownAt(error, source)}`
  return loadError(source, withoutVersions(what), error)
}

/** What is wrong with a module that could not be loaded, its place and the fix; undefined where it threw something of its own. */
export async function explainFault(error: Error, source: PluginSource): Promise<string | undefined> {
  const what =
    (await explainUnexported(error, source)) ??
    (await explainUndefined(error, source)) ??
    explainSyntax(error, source) ??
    (await explainMissing(error, source))
  return what === undefined ? undefined : withoutVersions(what)
}

function loadError(source: PluginSource, what: string, cause: unknown): MillraceError {
  return new MillraceError('MR_PLUGIN_LOAD', `Plugin ${source.specifier}: ${what}`, {
    plugin: source.specifier,
    cause,
  })
}

async function explainUnexported(error: NodeError, source: PluginSource): Promise<string | undefined> {
  const unexported = /The requested module '(.+)' does not provide an export named '(.+)'/.exec(error.message)
  if (!unexported) return undefined
  const [, from, name] = unexported
  const meant = didYouMean(name, await valuesOf(from))
  const hint = meant === '' ? '; if' : `${meant} If`
  return `${from} has no export "${name}"${hint} ${name} is a type, write: import type { ${name} } from '${from}'${frame(error, source)}`
}

/** A name that was not imported, or is misspelt where it is used. */
async function explainUndefined(error: Error, source: PluginSource): Promise<string | undefined> {
  const name =
    error instanceof ReferenceError ? /^([\w$]+) is not defined$/.exec(error.message)?.[1] : undefined
  const place = placeWhileLoading(error, source)
  if (name === undefined || place === undefined) return undefined
  const names = await valuesOf('millrace')
  const meant = names.includes(name) ? name : closest(name, names, 2)
  const hint = meant === undefined || meant === name ? '' : ` — did you mean "${meant}"?`
  const fix = meant === undefined ? '' : `; write: import { ${meant} } from 'millrace'`
  return `${await placeOfName(place, name, error)}: ${name} is not defined${hint}${fix}`
}

/** V8 names the first line of a module for what `export default` uses: then the line in which the name stands. */
async function placeOfName(place: string, name: string, { stack = '' }: Error): Promise<string> {
  const [, url = ''] = /(file:\S+?):\d+:\d+\)?$/m.exec(withoutVersions(stack)) ?? []
  const text = url === '' ? '' : await readFile(new URL(url), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const uses = (line = ''): boolean =>
    !/^\s*(?:\/\/|\/?\*)/.test(line) && line.split(/[^\w$]+/).includes(name)
  const [, file, line] = /^(.*):(\d+)$/.exec(place) ?? []
  const found = lines.findIndex(uses)
  return uses(lines[Number(line) - 1]) || found < 0 ? place : `${file}:${found + 1}`
}

/** What can be imported from there, of modules that do nothing when they are imported. */
async function valuesOf(module: string): Promise<string[]> {
  if (module === 'millrace') return Object.keys(await import('../contracts/index.ts'))
  return isBuiltin(module) ? Object.keys(await import(module)) : []
}

function explainSyntax(error: NodeError, source: PluginSource): string | undefined {
  switch (error.code) {
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX': {
      const fix =
        erasable.find(([words]) => words.test(error.message))?.[1] ??
        'write what remains valid when types are removed'
      return `${error.message.replace(' in strip-only mode', '')}: Node runs TypeScript by removing its types; ${fix}${frame(error, source)}`
    }
    case 'ERR_INVALID_TYPESCRIPT_SYNTAX':
      return `syntax error: ${error.message}${frame(error, source)}`
    case 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING': {
      const file = /for "(.+)"$/.exec(error.message)?.[1]
      return (
        `${file === undefined ? 'a file' : filePath(file)} is TypeScript inside node_modules, which Node does not run (${error.code}): ` +
        'publish the package with compiled .js files (tsc with "rewriteRelativeImportExtensions"; npm run build, where ' +
        '`millrace plugin new` made it) and let its package.json "exports" name those; or name the .ts file by its path outside node_modules'
      )
    }
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return `${error.message}; a plugin is a .ts, .mts, .js or .mjs file`
  }
  if (error instanceof SyntaxError) {
    const decorators = error.message === 'Invalid or unexpected token' ? ' (decorators cannot be used)' : ''
    return `syntax error: ${error.message}${decorators}${frame(error, source)}`
  }
  return undefined
}

async function explainMissing(error: NodeError, source: PluginSource): Promise<string | undefined> {
  switch (error.code) {
    case 'ENOENT':
      if (source.kind === 'package' && error.path === entryPath(source))
        return `the package is installed, but ${error.path}, which its package.json names, does not exist: build it before it is packed (npm run build, where \`millrace plugin new\` made it)`
      if (error.path !== source.location) return undefined
      return `there is no file ${source.location}${await nearFile(source.location)}`
    case 'EISDIR':
    case 'ERR_UNSUPPORTED_DIR_IMPORT':
      return `${error.url ? fileURLToPath(withoutVersions(error.url)) : source.location} is a folder; name the file, e.g. index.ts in it`
    case 'ERR_MODULE_NOT_FOUND':
    case 'MODULE_NOT_FOUND':
      return missingModule(error, source)
    case 'ERR_PACKAGE_PATH_NOT_EXPORTED':
      return missingEntry(error, source)
  }
  return undefined
}

/** What its package.json names; undefined where that leads nowhere. */
function entryPath({ specifier, location }: PluginSource): string | undefined {
  try {
    return fileURLToPath(resolveFrom(specifier, location))
  } catch {
    return undefined
  }
}

async function missingModule(error: NodeError, source: PluginSource): Promise<string> {
  const name = /Cannot find package '(.+?)'/.exec(error.message)?.[1]
  const importer = /imported from (.+)$/.exec(error.message)?.[1]
  if (name === undefined) {
    if (!error.url?.startsWith('file:')) return error.message
    const file = fileURLToPath(withoutVersions(error.url))
    return `${importer} imports ${file}, which does not exist${await nearFile(file)}`
  }
  if (source.kind === 'package' && source.specifier.startsWith(name)) {
    return `the package is not installed: it is looked for from ${fileURLToPath(source.location)}, the folder of the config file (npm install ${name})`
  }
  return `${importer} imports the package "${name}", which is not installed where that file can find it`
}

function missingEntry(error: NodeError, source: PluginSource): string {
  const [, entry, manifest] =
    /Package subpath '(.+?)' is not defined by "exports" in (\S+)/.exec(error.message) ?? []
  const own = source.kind === 'package' && entry !== undefined && source.specifier.endsWith(entry.slice(1))
  if (own || entry === undefined) return error.message
  return `an import asks for "${entry.slice(2)}" of a package that does not offer it (see "exports" in ${manifest})`
}

/** The file of the folder that was probably meant; a missing `.ts` above all. */
async function nearFile(file: string): Promise<string> {
  const names = await readdir(path.dirname(file)).catch((): string[] => [])
  const base = path.basename(file)
  const extended = ['.ts', '.mts', '.js', '.mjs'].map(
    (extension) => base.replace(/\.[cm]?js$/, '') + extension,
  )
  const found = extended.find((name) => names.includes(name)) ?? closest(base, names)
  if (found === undefined) return ''
  return ` — did you mean "${found}"?${path.extname(base) === '' ? ' (an import names the file with its extension)' : ''}`
}

/** File, line and caret, which Node puts before the stack of a syntax error. */
function frame(error: Error, source: PluginSource): string {
  const head = error.stack?.split(/\n(?=\w*Error\b)/)[0]
  if (!head?.startsWith('file:')) return ''
  const [place, ...code] = head.split('\n').filter((line) => line.trim() !== '')
  const [, url, line = ''] = /^(file:.*?)(:\d+)?$/.exec(withoutVersions(place)) ?? []
  return ['', url === undefined ? place : shownFile(url, source) + line, ...code.slice(0, 2)].join('\n')
}

/** Node says a path or a URL. */
function filePath(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(withoutVersions(file)) : file
}

/** `file:line: what was thrown`. */
function thrownAt(error: Error, source: PluginSource): string {
  const place = placeWhileLoading(error, source)
  const what = error.message || error.name
  return place === undefined ? what : `${place}: ${what}`
}
