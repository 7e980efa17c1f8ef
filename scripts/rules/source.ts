/** The source files of the repository, parsed: what the repository's rules are checked on. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseAst } from 'vitest/node'

/** A node of the syntax tree (ESTree with TypeScript), seen loosely: the rules look at a handful of its types. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

export interface Source {
  /** Relative to the root, with `/`. */
  readonly file: string
  readonly text: string
  readonly body: readonly SyntaxNode[]
}

/** Something that breaks a rule. */
export interface Offence {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly message: string
}

const folders = [
  'bench',
  'cli',
  'core',
  'dns',
  'docs',
  'examples',
  'orchestrator',
  'plugins',
  'scripts',
  'test',
]
const skipped = new Set(['node_modules', 'dist', '.millrace', '.cache', 'results'])

/** Every .ts, .mjs and .js file of the repository. */
export function sourceFiles(root: string): string[] {
  const files: string[] = []
  const walk = (folder: string): void => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        if (!skipped.has(entry.name) && (folder !== '' || folders.includes(entry.name))) walk(file)
      } else if (/\.(ts|mjs|js)$/.test(entry.name) && !entry.name.endsWith('.d.ts')) files.push(file)
    }
  }
  walk('')
  return files.sort()
}

export function parseSource(file: string, text: string): Source {
  // The parser does not know `typeof this.#field` in a type.
  const known = text.replaceAll(/typeof this\.#/g, 'typeof this._')
  const body = parseAst(known, { lang: file.endsWith('.ts') ? 'ts' : 'js', sourceType: 'module' })
    .body as unknown as SyntaxNode[]
  return { file, text, body }
}

export function readSources(root: string): Source[] {
  return sourceFiles(root).map((file) => parseSource(file, readFileSync(path.join(root, file), 'utf8')))
}

export function lineOf(source: Source, offset: number): number {
  let line = 1
  for (let at = source.text.indexOf('\n'); at !== -1 && at < offset; at = source.text.indexOf('\n', at + 1))
    line++
  return line
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string'
}

/** Visits a node and everything below it; `visit` returns false to stay out of a node. */
export function walk(node: SyntaxNode, visit: (node: SyntaxNode) => boolean): void {
  if (!visit(node)) return
  for (const value of Object.values(node)) {
    if (isNode(value)) walk(value, visit)
    else if (Array.isArray(value)) for (const item of value) if (isNode(item)) walk(item, visit)
  }
}

export const child = (node: SyntaxNode, key: string): SyntaxNode | undefined =>
  isNode(node[key]) ? node[key] : undefined

export const children = (node: SyntaxNode, key: string): SyntaxNode[] =>
  Array.isArray(node[key]) ? node[key].filter(isNode) : []
