/** `millrace plugin new`: a folder with a plugin that works, for its author to change. */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { slotKeys } from '../../core/config/uses.ts'
import type { PluginKind } from '../../core/contracts/plugin.ts'
import { closest } from '../../core/host/did-you-mean.ts'
import { namePattern } from '../../core/host/plugin-shape.ts'
import { builtins } from '../../plugins/manifest.ts'
import { UsageError } from '../failure.ts'
import type { Host } from '../main.ts'
import { commandText, corePlace } from './core-place.ts'
import { ignoreFile, pluginFiles, useTexts, type WritableKind } from './files.ts'
import { linkCore } from './links.ts'

export interface NewOptions {
  readonly dir?: string
}

export const writableKinds = Object.keys(useTexts) as WritableKind[]
const allKinds = Object.keys(slotKeys) as PluginKind[]

export function newPlugin(
  { terminal, version }: Host,
  kind: string,
  name: string,
  options: NewOptions,
): void {
  checkKind(kind)
  checkName(kind, name)
  const folder = path.resolve(terminal.directory, options.dir ?? name)
  checkFolder(folder)
  const core = corePlace()
  const isThere = (file: string): boolean => existsSync(path.join(folder, file))
  const all = Object.entries(pluginFiles({ kind, name, folder, core, version }))
  const files = all.filter(([file]) => file !== ignoreFile || !isThere(file))
  const there = files.filter(([file]) => isThere(file)).map(([file]) => file)
  if (there.length > 0)
    throw new UsageError(
      `${folder} already holds ${there.join(', ')}; nothing was written (--dir names another folder)`,
    )
  mkdirSync(folder, { recursive: true })
  // `wx`: what has come between the look and now is not written over either.
  for (const [file, text] of files) writeFileSync(path.join(folder, file), text, { flag: 'wx' })
  linkCore(folder, core)
  const shown = path.relative(terminal.directory, folder) || '.'
  const source = path.join(shown, `${name}.ts`)
  terminal.out(`${shown}: ${files.map(([file]) => file).join(', ')}\n`)
  terminal.out(`1. Edit   ${source}`)
  terminal.out(`2. Test   ${commandText(core)} plugin test ${shown}`)
  terminal.out(
    `3. Use    plugins: [${asPath(source)}] and ${useTexts[kind](name)} in a config (a whole one: README.md)`,
  )
}

/** @throws UsageError where no folder can be */
function checkFolder(folder: string): void {
  let at = folder
  while (!existsSync(at) && path.dirname(at) !== at) at = path.dirname(at)
  if (statSync(at).isDirectory()) return
  const where = at === folder ? `${folder} is a file` : `${at}, on the way to ${folder}, is a file`
  throw new UsageError(`${where}; --dir names a folder, which is made where it is not there`)
}

const asPath = (file: string): string => (/^(\.\.?)?\//.test(file) ? file : `./${file}`)

function checkKind(kind: string): asserts kind is WritableKind {
  if ((writableKinds as string[]).includes(kind)) return
  const known = `kinds: ${writableKinds.join(', ')}`
  if ((allKinds as string[]).includes(kind))
    throw new UsageError(`plugins of kind ${kind} have a contract, but nothing hosts them yet; ${known}`)
  const meant = closest(kind, writableKinds)
  throw new UsageError(
    `there is no plugin kind "${kind}"${meant ? ` — did you mean "${meant}"?` : ''}; ${known}`,
  )
}

function checkName(kind: WritableKind, name: string): void {
  if (!namePattern.test(name)) {
    const near = kebab(name)
    const meant = namePattern.test(near) ? ` — did you mean "${near}"?` : ''
    throw new UsageError(
      `"${name}" is no name for a plugin: expected lower-case words joined by hyphens${meant}`,
    )
  }
  if (builtins.some((one) => one.kind === kind && one.name === name))
    throw new UsageError(`the ${kind} "${name}" is built in and cannot be replaced; give yours another name`)
}

const kebab = (text: string): string =>
  text
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[-0-9]+|-+$/g, '')
