/** Where the running core lies, for files of an author's that are to find it with nothing installed beside them. */
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** Of the checkout or the package. */
const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '')

/** This file's own extension: `.ts` in a checkout, `.js` in the package. */
export const extension = path.extname(import.meta.url)

export interface CorePlace {
  readonly root: string
  /** Installed in a project: what a person types there is `npx millrace`. */
  readonly isInstalled: boolean
}

export const corePlace = (): CorePlace => ({
  root,
  isInstalled: root.includes(`${path.sep}node_modules${path.sep}`),
})

/** How a person runs this core. */
export function commandText({ isInstalled }: CorePlace): string {
  if (isInstalled) return 'npx millrace'
  return `npm --prefix ${quoted(root)} run -s millrace --`
}

const quoted = (text: string): string => (/^[\w./:@-]+$/.test(text) ? text : JSON.stringify(text))
