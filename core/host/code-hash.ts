/** The version of a plugin's code: a hash over its file and whatever that imports by a relative path, and so on. */
import { createHash } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Imports with a literal path. Paths that a plugin computes are not seen; one in a comment does no harm. */
const relativeImport = /\b(?:from|import|require)\s*\(?\s*(['"])(\.{1,2}\/[^'"\n]+)\1/g

/** One version of a plugin's code, as it was read: it can be loaded again when the disk holds another one. Cloneable. */
export interface CodeFiles {
  /** File URL of the plugin's own file. */
  readonly entry: string
  readonly hash: string
  /** File URL → text, the entry first. `undefined`: there is no such file. */
  readonly files: ReadonlyMap<string, string | undefined>
}

/**
 * The same code gives the same hash in every thread, wherever it lies.
 *
 * @param entry file URL, without a query
 * @throws what reading the entry throws; an import that cannot be read counts as absent
 */
export async function readCode(entry: string): Promise<CodeFiles> {
  const contents = new Map<string, Buffer | undefined>([[entry, await readFile(new URL(entry))]])
  // A Map is iterated over what is added meanwhile, too.
  for (const [url, content] of contents) {
    for (const named of importsOf(url, content)) {
      const imported = await behindLinks(named)
      if (!contents.has(imported))
        contents.set(imported, await readFile(new URL(imported)).catch(() => undefined))
    }
  }
  const hash = createHash('sha256')
  for (const [url, content] of contents) {
    hash.update(JSON.stringify([relative(entry, url), content?.length ?? -1]))
    if (content) hash.update(content)
  }
  const files = new Map([...contents].map(([url, content]) => [url, content?.toString()]))
  return { entry, hash: hash.digest('hex').slice(0, 16), files }
}

/** The version alone. */
export async function codeHash(entry: string): Promise<string> {
  return (await readCode(entry)).hash
}

/** Node names a module by the file that links lead to. */
async function behindLinks(url: string): Promise<string> {
  try {
    return pathToFileURL(await realpath(fileURLToPath(url))).href
  } catch {
    return url
  }
}

function importsOf(url: string, content: Buffer | undefined): string[] {
  if (!content || !/\.[cm]?[jt]s$/.test(url)) return []
  return [...content.toString().matchAll(relativeImport)].map((match) => {
    const imported = new URL(match[2], url)
    imported.search = ''
    imported.hash = ''
    return imported.href
  })
}

/** Stable over a move of the whole plugin. */
function relative(entry: string, url: string): string {
  const from = entry.split('/')
  const to = url.split('/')
  let same = 0
  while (same < from.length && from[same] === to[same]) same++
  return `${from.length - same}/${to.slice(same).join('/')}`
}
