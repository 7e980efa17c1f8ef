/** `plugins:`, the only place of a config that names code. */
import { existsSync } from 'node:fs'
import { isAbsolute, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { ConfigDocument } from './document.ts'
import type { PluginSource } from './snapshot.ts'

/** One entry; undefined where it is no string. */
export function pluginSource(specifier: unknown, directory: string): PluginSource | undefined {
  if (typeof specifier !== 'string' || specifier === '') return undefined
  if (/^\.{1,2}\//.test(specifier) || isAbsolute(specifier))
    return { specifier, kind: 'path', location: resolve(directory, specifier) }
  if (specifier.startsWith('file:')) {
    return { specifier, kind: 'path', location: fileURLToPath(new URL(specifier)) }
  }
  return { specifier, kind: 'package', location: pathToFileURL(directory + sep).href }
}

/** The well-formed entries; problems of the others go to the document. */
export function checkPluginSources(
  document: ConfigDocument,
  value: unknown,
  directory: string,
): PluginSource[] {
  const sources: PluginSource[] = []
  if (!Array.isArray(value)) return sources
  value.forEach((specifier: unknown, index) => {
    const path = ['plugins', index]
    let source: PluginSource | undefined
    try {
      source = pluginSource(specifier, directory)
    } catch {
      document.report({ code: 'MR_CONFIG_INVALID', message: 'this is not a valid file URL', path })
    }
    if (source === undefined) return
    const { kind, location } = source
    const shown = document.show(path, specifier)
    if (kind === 'path' && !existsSync(location)) {
      document.report({ code: 'MR_CONFIG_FILE', message: `there is no plugin file ${shown}`, path })
    } else if (kind === 'package' && existsSync(resolve(directory, source.specifier))) {
      const message = 'a file is named by a path that starts with ./'
      const suggestion = document.redact(`did you mean ${JSON.stringify(`./${source.specifier}`)}?`)
      document.report({ code: 'MR_CONFIG_INVALID', message, path, suggestion })
    } else if (
      sources.some(
        (other) => other.specifier === specifier || (kind === 'path' && other.location === location),
      )
    ) {
      document.report({ code: 'MR_CONFIG_DUPLICATE', message: `${shown} stands twice in \`plugins\``, path })
    } else sources.push(source)
  })
  return sources
}
