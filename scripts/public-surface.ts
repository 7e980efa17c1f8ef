/** Writes docs/public-surface.md, the list of all that a user or a plugin author may rely on: `node scripts/public-surface.ts
 * --write`. Without `--write` it prints the page. A test of the repository holds the file against it. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { configJsonSchema } from '../core/config/json-schema.ts'
import { slotKeys } from '../core/config/uses.ts'
import { threadKinds } from '../core/contracts/plugin.ts'
import { errorTable } from '../core/host/errors.ts'
import { builtIn, PluginRegistry } from '../core/host/registry.ts'
import { describeMetrics } from '../core/observe/registry.ts'
import { builtins } from '../plugins/manifest.ts'
import { children, parseSource, type SyntaxNode } from './rules/source.ts'

const root = path.resolve(import.meta.dirname, '..')
export const surfaceFile = 'docs/public-surface.md'

type Schema = Readonly<Record<string, unknown>>

/** The page as it ought to be. */
export function publicSurface(): string {
  const sections = [
    ['Exports of `millrace`', exportsOf('core/contracts/index.ts')],
    ['Exports of `millrace/conformance`', exportsOf('test/conformance/index.ts')],
    ['Plugin kinds', kinds()],
    ['Built-in plugins', plugins()],
    ['Keys of the config', configKeys()],
    ['Error codes', codes()],
    ['Metrics', metrics()],
  ]
  return [
    '# The public surface\n',
    'What a user or an author of plugins may rely on. Whatever is not listed here may change in any version. Written by',
    '`node scripts/public-surface.ts --write`, from the code; a test fails while the two differ.\n',
    ...sections.map(([title, text]) => `## ${title}\n\n${text}\n`),
  ].join('\n')
}

/** Names that a module exports, values first. */
function exportsOf(file: string): string {
  const values: string[] = []
  const types: string[] = []
  for (const statement of parseSource(file, readFileSync(path.join(root, file), 'utf8')).body) {
    if (statement.type !== 'ExportNamedDeclaration') continue
    const isType = statement.exportKind === 'type'
    for (const specifier of children(statement, 'specifiers')) {
      const name = (specifier.exported as SyntaxNode).name as string
      ;(isType || specifier.exportKind === 'type' ? types : values).push(name)
    }
    const declaration = statement.declaration as SyntaxNode | null
    if (declaration?.id) {
      const list = declaration.type.startsWith('TS') ? types : values
      list.push((declaration.id as SyntaxNode).name as string)
    }
  }
  const line = (names: string[]): string => names.sort(byName).map(code).join(', ')
  return `Values: ${line(values)}.\n\nTypes: ${line(types)}.`
}

function kinds(): string {
  const rows = Object.entries(slotKeys).map(([kind, keys]) => {
    const place = threadKinds.some((name) => name === kind) ? 'each data thread' : 'the main thread'
    return `| \`${kind}\` | ${place} | ${keys.map(code).join(', ')} |`
  })
  return ['| kind | one instance per use on | slot keys |', '| --- | --- | --- |', ...rows].join('\n')
}

function plugins(): string {
  const known = [...new Set(builtins.map(({ kind }) => kind))].sort(byName)
  return known
    .map((kind) => {
      const names = builtins.filter((plugin) => plugin.kind === kind).map(({ name }) => code(name))
      return `- \`${kind}\`: ${names.join(', ')}`
    })
    .join('\n')
}

function configKeys(): string {
  const registry = new PluginRegistry()
  for (const plugin of builtins) registry.add(builtIn(plugin))
  const schema = JSON.parse(JSON.stringify(configJsonSchema(registry.catalog()))) as Schema
  const found = new Set<string>()
  walk(schema, '', found)
  const uses = Object.entries(schema.definitions as Record<string, Schema>).map(([kind, definition]) => {
    const own = (definition.anyOf as Schema[] | undefined)?.filter(({ properties }) => properties) ?? []
    return own.map((branch) => {
      const { use, ...keys } = branch.properties as Record<string, Schema>
      const named = Object.keys(keys).map(code).join(', ')
      return `- \`${kind}\` \`${String(use.const)}\`: ${named || 'none'}`
    })
  })
  const keys = [...found].sort(byName).map((key) => `- \`${key}\``)
  return `${keys.join('\n')}\n\nOptions and slot keys of the built-in plugins:\n\n${uses.flat().join('\n')}`
}

/** Every key of a schema; `*` stands for a name of the user's, `[]` for an entry of a list. */
function walk(schema: Schema, at: string, found: Set<string>): void {
  for (const [key, inner] of Object.entries((schema.properties ?? {}) as Record<string, Schema>)) {
    const here = at === '' ? key : `${at}.${key}`
    found.add(here)
    walk(inner, here, found)
  }
  if (typeof schema.additionalProperties === 'object')
    walk(schema.additionalProperties as Schema, `${at}.*`, found)
  if (typeof schema.items === 'object') walk(schema.items as Schema, `${at}[]`, found)
  for (const branch of [schema.anyOf, schema.oneOf, schema.allOf].flat() as (Schema | undefined)[])
    if (branch) walk(branch, at, found)
}

function codes(): string {
  const rows = Object.entries(errorTable).map(
    ([name, entry]: [string, { text: string; status?: number }]) => {
      return `| \`${name}\` | ${entry.status ?? ''} | ${entry.text} |`
    },
  )
  return ['| code | status | meaning |', '| --- | --- | --- |', ...rows].join('\n')
}

function metrics(): string {
  const rows = describeMetrics().map(({ name, type, labels, help }) => {
    return `| \`${name}\` | ${type} | ${labels.map(code).join(', ')} | ${help} |`
  })
  const own = '| `millrace_plugin_<name>` | counter, gauge | `plugin`, `use` | What plugins count. |'
  return ['| name | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows, own].join('\n')
}

const code = (name: string): string => `\`${name}\``
const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

if (import.meta.main) {
  if (process.argv.includes('--write')) writeFileSync(path.join(root, surfaceFile), publicSurface())
  else process.stdout.write(publicSurface())
}
