/**
 * Links in the node_modules of a new plugin, as `npm install` would make them: with nothing installed its npm scripts find the command, and
 * an editor finds the types. They are of this machine, and nothing for git; all other files of the plugin can be moved and passed on.
 */
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import type { CorePlace } from './core-place.ts'

/** Makes what is not there, near the plugin or above it. Where the system lets nobody make links, it goes on without. */
export function linkCore(folder: string, { root }: CorePlace): void {
  const modules = path.join(folder, 'node_modules')
  if (!isFound(folder, 'millrace')) link(root, path.join(modules, 'millrace'), 'junction')
  // Just as npm links it; the file is a script for the Node that stands before others in the PATH of npm scripts.
  if (existsSync(path.join(modules, 'millrace')) && !isFound(folder, '.bin/millrace')) {
    link(path.join('..', 'millrace', 'cli', 'bin.js'), path.join(modules, '.bin', 'millrace'), 'file')
    if (!isFound(folder, '.bin/node')) link(process.execPath, path.join(modules, '.bin', 'node'), 'file')
  }
  const types = '@types/node'
  const [own] = above(root).flatMap((each) => there(path.join(each, 'node_modules', types)))
  if (own !== undefined && !isFound(folder, types)) link(own, path.join(modules, types), 'junction')
}

/** As Node looks for a package, and npm for a command. */
const isFound = (folder: string, name: string): boolean =>
  above(folder).some((each) => existsSync(path.join(each, 'node_modules', name)))

const there = (place: string): string[] => (existsSync(place) ? [place] : [])

function above(start: string): string[] {
  const parent = path.dirname(start)
  return parent === start ? [start] : [start, ...above(parent)]
}

function link(target: string, place: string, type: 'file' | 'junction'): void {
  try {
    mkdirSync(path.dirname(place), { recursive: true })
    symlinkSync(target, place, type)
  } catch {
    // The plugin works without; `npm install` is what is left for its scripts and for the editor.
  }
}
