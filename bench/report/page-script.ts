/** What the HTML report needs to run without a network, read from files: the page's script and style, and uPlot. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { packageFile } from '../packages.ts'

export interface PageParts {
  readonly style: string
  readonly script: string
}

const folder = path.join(import.meta.dirname, 'page')
const importLine = /^import [^\n]*? from '([^']+)'\n/gm

/** uPlot and the page's own files, each in one text without imports. */
export function pageParts(): PageParts {
  const uplot = path.dirname(packageFile('uplot'))
  const read = (file: string) => readFileSync(file, 'utf8')
  const licence = `/* uPlot:\n${read(path.join(uplot, '..', 'LICENSE'))}*/`
  return {
    style: [
      read(path.join(uplot, 'uPlot.min.css')),
      read(path.join(folder, 'colors.css')),
      read(path.join(folder, 'style.css')),
    ].join('\n'),
    script: [
      licence,
      read(path.join(uplot, 'uPlot.iife.min.js')),
      '(() => {',
      ...inOrder('main.js', new Set()).map((file) => joinable(read(path.join(folder, file)))),
      '})()',
    ].join('\n'),
  }
}

/** The modules of the page, each behind those that it imports. */
function inOrder(file: string, seen: Set<string>): string[] {
  seen.add(file)
  const imports = [...readFileSync(path.join(folder, file), 'utf8').matchAll(importLine)]
  const own = imports.map(([, specifier]) => specifier).filter((specifier) => specifier.startsWith('./'))
  const before = own.flatMap((specifier) => {
    const next = specifier.slice(2)
    return seen.has(next) ? [] : inOrder(next, seen)
  })
  return [...before, file]
}

/** A module as part of one script: all share a scope, in which their names are different. */
function joinable(source: string): string {
  return source.replaceAll(importLine, '').replaceAll(/^export (?=function |const )/gm, '')
}
