/**
 * Arms as they are written on the command line:
 *
 * - `nginx`: one of the catalog; `direct` is the backend without a proxy
 * - `core+error-rate`, `core+./my-filter.ts`, `core+@acme/x`: Millrace with this one plugin, see `pluginArm`
 * - `core+headers={"request":{"set":{"x-a":"1"}}}`, `core+headers=./options.yaml`: its options, there or in a YAML or JSON file
 * - `config:./lb.yaml`: Millrace with this config; its addresses are replaced
 */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse } from 'yaml'
import { didYouMean } from '../../core/host/did-you-mean.ts'
import { MillraceError } from '../../core/host/errors.ts'
import type { Arm } from './arm.ts'
import { armNames } from './catalog.ts'
import { pluginArm } from './core.ts'
import { repository } from './millrace.ts'
import { benchConfig } from './millrace-config.ts'
import { revisionArm } from './revision.ts'

export interface NamedArms {
  /** As they were written, each once. */
  readonly names: readonly string[]
  /** Those that are no arm of the catalog. */
  readonly arms: readonly Arm[]
}

/**
 * @param directory where paths and packages are looked for
 * @throws MillraceError for the user
 */
export async function namedArms(written: readonly string[], directory = process.cwd()): Promise<NamedArms> {
  const names = [...new Set(written)]
  const arms: Arm[] = []
  for (const name of names) {
    const arm = await armOf(name, directory)
    if (arm !== undefined) arms.push(arm)
  }
  return { names, arms }
}

/**
 * The arms of a run: those of `list` (`a,b,c`), else the usual ones; then `more`, one by one. With a plugin among them comes
 * `core`, which it is compared with.
 */
export async function chooseArms(
  usual: readonly string[],
  { list, more = [] }: { readonly list?: string; readonly more?: readonly string[] },
  directory = process.cwd(),
): Promise<NamedArms> {
  const chosen = list === undefined ? usual : splitArms(list)
  const core = more.some((name) => name.startsWith('core+')) ? ['core'] : []
  const named = await namedArms([...chosen, ...core, ...more], directory)
  if (named.names.length === 0)
    throw new MillraceError('MR_USAGE', '--arms: names of arms expected, such as direct,nginx,millrace')
  return named
}

/** The arms of `a,b={"c":1,"d":2}`: commas within braces and brackets belong to an arm. */
export function splitArms(list: string): string[] {
  const arms: string[] = ['']
  let depth = 0
  for (const character of list) {
    if ('{['.includes(character)) depth++
    else if ('}]'.includes(character)) depth--
    if (character === ',' && depth === 0) arms.push('')
    else arms.push(arms.pop() + character)
  }
  return arms.map((name) => name.trim()).filter((name) => name !== '')
}

/** undefined: the catalog has it. */
async function armOf(name: string, directory: string): Promise<Arm | undefined> {
  const plugin = /^core\+([^=]+)(?:=(.*))?$/s.exec(name)
  if (plugin) {
    const [, specifier, options] = plugin
    return pluginArm(specifier, readOptions(name, options, directory), { directory, name })
  }
  if (name.startsWith('config:')) return configArm(name, directory)
  if (name !== 'direct' && !armNames.includes(name)) throw unknown(name)
  return undefined
}

function configArm(name: string, directory: string): Arm {
  const written = name.slice('config:'.length)
  const config = resolve(directory, written)
  if (written === '' || !existsSync(config))
    throw new MillraceError('MR_USAGE', `arm "${name}": there is no config ${config}`)
  // What is wrong with it is said now, not after half an hour.
  benchConfig(config, { port: 1, adminPort: 1, backendPort: 1, data: '' })
  return revisionArm({ name, title: `Millrace, ${written}`, directory: repository, config })
}

function readOptions(
  arm: string,
  text: string | undefined,
  directory: string,
): Readonly<Record<string, unknown>> {
  if (text === undefined || text === '') return {}
  const inline = text.startsWith('{')
  const file = resolve(directory, text)
  if (!inline && !existsSync(file))
    throw new MillraceError('MR_USAGE', `arm "${arm}": there is no file ${file} with options`)
  let options: unknown
  try {
    options = parse(inline ? text : readFileSync(file, 'utf8'))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new MillraceError('MR_USAGE', `arm "${arm}": its options are no JSON or YAML: ${why}`, { cause })
  }
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new MillraceError('MR_USAGE', `arm "${arm}": a mapping of options expected`)
  return options as Record<string, unknown>
}

function unknown(name: string): MillraceError {
  const names = ['direct', ...armNames]
  const hint = didYouMean(name, names) || ';'
  const list = `${names.join(', ')}, core+PLUGIN, config:FILE`
  return new MillraceError('MR_USAGE', `unknown arm "${name}"${hint} there are ${list}`)
}
