/** What is named on the command line of `bench plugin`: a built-in, a package, a file, or the folder of a file. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, extname, join, resolve } from 'node:path'
import { MillraceError } from '../../core/host/errors.ts'
import { builtins } from '../../plugins/manifest.ts'

const endings = new Set(['.ts', '.mts', '.js', '.mjs', '.cjs'])

/** Does not look like a path: it may be the name of a built-in or of a package. */
const isBare = (plugin: string): boolean => !/^(\.{0,2}\/|\.{1,2}$|file:)/.test(plugin)

/**
 * As the config writes it. In a shell a file may be named without its `./`, and for a folder its plugin is taken.
 *
 * @throws MR_USAGE for a folder whose plugin cannot be told
 */
export function asSpecifier(plugin: string, directory: string): string {
  if (isBare(plugin) && builtins.some(({ name }) => name === plugin)) return plugin
  const place = resolve(directory, plugin)
  if (plugin.startsWith('file:') || !existsSync(place)) return plugin
  const file = statSync(place).isDirectory() ? join(plugin, pluginOf(place)) : plugin
  return endings.has(extname(file)) && isBare(file) ? `./${file}` : file
}

/** The plugin of a folder: the file of its name, the only one, or its `index`. */
function pluginOf(folder: string): string {
  const files = readdirSync(folder).filter(isPlugin).sort()
  const stem = (file: string): string => file.slice(0, -extname(file).length)
  const found =
    files.find((file) => stem(file) === basename(folder)) ??
    (files.length === 1 ? files[0] : files.find((file) => stem(file) === 'index'))
  if (found !== undefined) return found
  const held =
    files.length === 0
      ? 'no plugin file'
      : `${files.join(', ')}, and which of them is the plugin cannot be told`
  throw new MillraceError(
    'MR_USAGE',
    `${folder} is a folder with ${held}: name the file, such as ${join(folder, files[0] ?? 'my-plugin.ts')}`,
  )
}

/** A script that is no test, no declaration and no config of a tool. */
const isPlugin = (file: string): boolean =>
  endings.has(extname(file)) && !/\.(?:test|spec|d|config|bench)\.[cm]?[jt]s$/.test(file)
