/** Where the running core lies, for files of an author's that are to find it with nothing installed beside them. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** Of the checkout or the package. */
const root = fileURLToPath(new URL('../../', import.meta.url))

/** This file's own extension: `.ts` in a checkout, `.js` in the package. */
export const extension = path.extname(import.meta.url)

export interface CorePlace {
  readonly root: string
  /** It runs from TypeScript sources. */
  readonly isCheckout: boolean
  /** Installed in a project: what a person types there is `npx millrace`. */
  readonly isInstalled: boolean
}

export const corePlace = (): CorePlace => ({
  root,
  isCheckout: extension === '.ts',
  isInstalled: root.includes(`${path.sep}node_modules${path.sep}`),
})

/** How a person runs this core. */
export function commandText({ isInstalled }: CorePlace): string {
  if (isInstalled) return 'npx millrace'
  return `npm --prefix ${quoted(root.replace(/[/\\]$/, ''))} run -s millrace --`
}

const quoted = (text: string): string => (/^[\w./:@-]+$/.test(text) ? text : JSON.stringify(text))

/** What TypeScript is told: `millrace` and `millrace/conformance` as files, and where the types of Node lie. */
export function typePlaces({ root: core, isCheckout, isInstalled }: CorePlace, folder: string) {
  // A project moves as a whole; a checkout elsewhere on the disk does not move with the plugin.
  const named = (file: string): string => (isInstalled ? relative(folder, file) : file)
  const ending = isCheckout ? '.ts' : '.d.ts'
  const files = { millrace: 'core/contracts/index', 'millrace/conformance': 'test/conformance/index' }
  const paths = (base: string, end: string) =>
    Object.fromEntries(
      Object.entries(files).map(([name, file]) => [name, [named(path.join(base, file + end))]]),
    )
  const typeRoots = nodeTypes(core, folder).map(named)
  return {
    typeRoots,
    paths: paths(core, ending),
    // Sources of a checkout would be compiled with the plugin; what `npm run build` makes there would not.
    buildPaths: isCheckout ? paths(path.join(core, 'dist'), '.d.ts') : paths(core, ending),
  }
}

/** Folders `@types` with the types of Node: near the plugin, or near the core. */
function nodeTypes(core: string, folder: string): string[] {
  const candidates = [folder, core].flatMap((start) =>
    above(start).map((each) => path.join(each, 'node_modules/@types')),
  )
  return candidates.filter((each) => existsSync(path.join(each, 'node/package.json'))).slice(0, 1)
}

function above(start: string): string[] {
  const parent = path.dirname(start)
  return parent === start ? [start] : [start, ...above(parent)]
}

function relative(folder: string, file: string): string {
  const found = path.relative(folder, file).replaceAll('\\', '/')
  return found.startsWith('.') ? found : `./${found}`
}
