/** Checks that a module's default export is a plugin, and says what to change when it is not. */
import type { PluginSource } from '../config/snapshot.ts'
import type { AnyPlugin, PluginKind } from '../contracts/plugin.ts'
import { closest, didYouMean } from './did-you-mean.ts'
import { MillraceError } from './errors.ts'

/** The contract version of this core. */
const api = 1

const kinds: Readonly<Record<PluginKind, true>> = {
  algorithm: true,
  'circuit-breaker': true,
  filter: true,
  'health-source': true,
  'config-store': true,
  'config-sync': true,
  election: true,
  lock: true,
  'failure-detector': true,
  provisioner: true,
  'metrics-source': true,
  'dns-publisher': true,
  vip: true,
}

const members = ['api', 'kind', 'name', 'description', 'options', 'create', 'buildTable']
export const namePattern = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/

/** @throws MR_PLUGIN_SHAPE */
export function pluginOfModule(module: unknown, source: PluginSource): AnyPlugin {
  const exports = module as Readonly<Record<string, unknown>>
  if (exports.default === undefined) {
    const names = Object.keys(exports).filter((name) => name !== 'module.exports')
    const instead = names.length > 0 ? `, but exports ${names.join(', ')}` : ''
    throw shapeError(
      `Plugin ${source.specifier}`,
      `has no default export${instead}; write: export default definePlugin({ … })`,
      source.specifier,
    )
  }
  // A CommonJS package compiled from ES modules has its default one level deeper.
  const inner = exports.default as { readonly __esModule?: unknown; readonly default?: unknown } | null
  const plugin = inner?.__esModule === true && inner.default !== undefined ? inner.default : exports.default
  return checkPlugin(plugin, `Plugin ${source.specifier}`)
}

/**
 * @param where begins the message, e.g. `Plugin ./a.ts`
 * @throws MR_PLUGIN_SHAPE
 */
export function checkPlugin(value: unknown, where: string): AnyPlugin {
  if (typeof value !== 'object' || value === null) {
    const hint = typeof value === 'function' ? ' (a plugin is a plain object, no class or function)' : ''
    throw shapeError(
      where,
      `exports ${value === null ? 'null' : `a ${typeof value}`} as default; expected definePlugin({ … })${hint}`,
    )
  }
  const plugin = value as Readonly<Record<string, unknown>>
  const problem =
    checkApi(plugin) ??
    checkKind(plugin.kind) ??
    checkName(plugin) ??
    checkOptions(plugin) ??
    checkCreate(plugin) ??
    checkOthers(plugin)
  if (problem !== undefined)
    throw shapeError(where, problem, typeof plugin.name === 'string' ? plugin.name : undefined)
  return value as AnyPlugin
}

function checkApi(plugin: Readonly<Record<string, unknown>>): string | undefined {
  if (plugin.api === api) return undefined
  if (plugin.api === undefined) return `has no "api"${slip(plugin, 'api')}; write: api: ${api}`
  return `is written for plugin API ${JSON.stringify(plugin.api)}; this version of millrace has API ${api}`
}

function checkKind(kind: unknown): string | undefined {
  if (typeof kind === 'string' && Object.hasOwn(kinds, kind)) return undefined
  const known = Object.keys(kinds)
  if (typeof kind !== 'string') return `has no "kind"; expected one of ${known.join(', ')}`
  return `is of kind "${kind}", which this version of millrace does not have${didYouMean(kind, known)}; kinds: ${known.join(', ')}`
}

function checkName(plugin: Readonly<Record<string, unknown>>): string | undefined {
  const { name } = plugin
  if (name === undefined)
    return `has no "name"${slip(plugin, 'name')}; it is what "use" in the config refers to`
  if (typeof name === 'string' && namePattern.test(name)) return undefined
  return `has the name ${JSON.stringify(name)}; expected lower-case words joined by hyphens, e.g. "least-connections"`
}

function checkOptions(plugin: Readonly<Record<string, unknown>>): string | undefined {
  const options = plugin.options as
    | { readonly '~standard'?: { readonly version?: unknown; readonly validate?: unknown } }
    | undefined
  if (options === undefined || options === null) {
    return `has no "options"${slip(plugin, 'options')}; where there are none, write: options: z.strictObject({})`
  }
  const standard = options['~standard']
  if (typeof standard?.validate === 'function' && standard.version === 1) return undefined
  return 'has "options" that are no Standard Schema; write e.g. options: z.strictObject({ window: duration })'
}

function checkCreate(plugin: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof plugin.create === 'function') return undefined
  return plugin.create === undefined
    ? `has no "create"${slip(plugin, 'create')}; write: create(context, options) { return { … } }`
    : `has a "create" that is a ${typeof plugin.create}; expected a function`
}

function checkOthers(plugin: Readonly<Record<string, unknown>>): string | undefined {
  for (const key of Object.keys(plugin)) {
    const meant = members.includes(key)
      ? undefined
      : closest(
          key,
          members.filter((member) => !(member in plugin)),
          2,
        )
    if (meant !== undefined) return `has "${key}", which is not known — did you mean "${meant}"?`
  }
  if (plugin.buildTable === undefined) return undefined
  if (plugin.kind !== 'algorithm') return `has "buildTable", which only an algorithm can have`
  return typeof plugin.buildTable === 'function' ? undefined : 'has a "buildTable" that is no function'
}

/** ` (but "optoins")` when some other key looks like the missing one. */
function slip(plugin: Readonly<Record<string, unknown>>, missing: string): string {
  const others = Object.keys(plugin).filter((key) => !members.includes(key))
  const found = others.find((key) => closest(key, [missing], 2) !== undefined)
  return found === undefined ? '' : ` (but "${found}")`
}

function shapeError(where: string, problem: string, plugin?: string): MillraceError {
  return new MillraceError('MR_PLUGIN_SHAPE', `${where} ${problem}`, { plugin })
}
