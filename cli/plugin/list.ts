/** `millrace plugin list`: the plugins that a config can use, with their options. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { readPluginSources } from '../../core/config/load.ts'
import { slotKeys } from '../../core/config/uses.ts'
import { didYouMean } from '../../core/host/did-you-mean.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { optionsJsonSchema } from '../../core/host/options.ts'
import type { LoadedPlugin } from '../../core/host/registry.ts'
import { resolveFrom } from '../../core/host/resolver.ts'
import { builtins } from '../../plugins/manifest.ts'
import { columns } from '../columns.ts'
import { UsageError } from '../failure.ts'
import { findConfig, hasUsualConfig } from '../load.ts'
import type { Host } from '../main.ts'
import { type OptionRow, optionRows } from './option-rows.ts'

/** Characters; longer ones stick out of their column. */
const widestCell = 48

export interface ListOptions {
  readonly config?: string
  readonly kind?: string
  readonly json?: boolean
}

interface Row {
  readonly kind: string
  readonly name: string
  /** Of the package that it is in; undefined for a file in none. */
  readonly version: string | undefined
  readonly source: 'built-in' | 'path' | 'package'
  /** As the config names it. */
  readonly specifier: string | undefined
  readonly description: string | undefined
  /** undefined: its schema library has no JSON Schema. */
  readonly options: readonly OptionRow[] | undefined
}

export async function listPlugins({ terminal, version }: Host, options: ListOptions): Promise<void> {
  const { config, kind } = options
  checkKind(kind)
  const named = config !== undefined || hasUsualConfig(terminal)
  const sources = named ? await readPluginSources(findConfig(terminal, config), { env: terminal.env }) : []
  const registry = await loadPlugins(sources, builtins)
  const wanted = registry.list().filter(({ definition }) => kind === undefined || definition.kind === kind)
  const rows = wanted.map((loaded) => rowOf(loaded, version))
  terminal.out(options.json ? JSON.stringify(rows, null, 2) : table(rows))
}

/** @throws UsageError */
function checkKind(kind: string | undefined): void {
  const kinds = Object.keys(slotKeys)
  if (kind === undefined || kinds.includes(kind)) return
  throw new UsageError(
    `there is no plugin kind "${kind}"${didYouMean(kind, kinds)}; kinds: ${kinds.join(', ')}`,
  )
}

function rowOf({ definition, source }: LoadedPlugin, core: string): Row {
  const { kind, name, description } = definition
  const schema = optionsJsonSchema(definition.options)
  const common = { description, options: schema && optionRows(schema) }
  if (source === 'built-in') return { kind, name, version: core, source, specifier: undefined, ...common }
  const entry =
    source.kind === 'path' ? source.location : fileURLToPath(resolveFrom(source.specifier, source.location))
  return {
    kind,
    name,
    version: versionAbove(entry),
    source: source.kind,
    specifier: source.specifier,
    ...common,
  }
}

/** Of the nearest package.json that has one. */
function versionAbove(file: string): string | undefined {
  const folder = path.dirname(file)
  try {
    const { version } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
      version?: unknown
    }
    if (typeof version === 'string') return version
  } catch {
    // None here: one folder up.
  }
  return folder === path.dirname(folder) ? undefined : versionAbove(folder)
}

const sourceText = ({ source, specifier }: Row): string =>
  specifier === undefined ? source : `${source} ${specifier}`

/** A line each, and below it one for each option. */
function table(rows: readonly Row[]): string {
  const head = ['KIND', 'NAME', 'VERSION', 'SOURCE', 'DESCRIPTION']
  const cells = rows.map((row) => [
    row.kind,
    row.name,
    row.version ?? '-',
    sourceText(row),
    row.description ?? '',
  ])
  const lines = columns([head, ...cells], widestCell)
  return [lines[0], ...rows.flatMap((row, index) => [lines[index + 1], ...optionLines(row.options)])].join(
    '\n',
  )
}

function optionLines(options: readonly OptionRow[] | undefined): string[] {
  if (options === undefined) return ['  options: its schema library cannot tell them']
  return columns(
    options.map(({ name, type, required, default: value, description }) => [
      `  ${name}`,
      type,
      value === undefined ? (required ? 'required' : '') : `= ${JSON.stringify(value)}`,
      description ?? '',
    ]),
    widestCell,
  )
}
