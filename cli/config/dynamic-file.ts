/** The half of a config that goes into the store: routes, services and filters, checked as `millrace check` does. */
import path from 'node:path'
import type { PluginCatalog } from '../../core/config/catalog.ts'
import { asList, asMap, runChecks } from '../../core/config/checks.ts'
import type { ConfigDocument } from '../../core/config/document.ts'
import { reportIssues } from '../../core/config/issues.ts'
import { checkServicePems } from '../../core/config/pem-checks.ts'
import { PemFiles } from '../../core/config/pem-files.ts'
import { ConfigError, formatProblems } from '../../core/config/problems.ts'
import { dynamicKeys, dynamicSchema, fileSchema } from '../../core/config/schema.ts'
import { readSource } from '../../core/config/source.ts'
import type { Terminal } from '../terminal.ts'

/** What the store is to hold. */
export type DynamicConfig = Readonly<Record<string, unknown>>

export interface ReadDynamic {
  readonly data: DynamicConfig
  /** Puts references back for values from the environment. */
  redact(text: string): string
}

/**
 * Reads a whole config, of which the node's own half is left out, or a file of the dynamic half alone.
 * @param catalog absent: uses of plugins are not checked, who takes the config does that
 * @throws ConfigError with every problem
 */
export async function readDynamic(
  file: string,
  terminal: Terminal,
  catalog: PluginCatalog | undefined,
): Promise<ReadDynamic> {
  const absolute = path.resolve(terminal.directory, file)
  const { document, directory } = await readSource({ path: absolute }, terminal.env)
  for (const [name, listener] of Object.entries(asMap(asMap(document.value).listeners)))
    if (asMap(listener).routes !== undefined)
      document.warn({
        code: 'MR_CONFIG_INVALID',
        message: 'routes of one listener stay in the file of each node: they are not written to the store',
        path: ['listeners', name, 'routes'],
      })
  const data = await check(document, directory, catalog)
  if (document.warnings.length > 0)
    terminal.err(`${terminal.style('yellow', 'warning:')} ${formatProblems(document.warnings)}`)
  return { data, redact: (text) => document.redact(text) }
}

async function check(
  document: ConfigDocument,
  directory: string,
  catalog: PluginCatalog | undefined,
): Promise<DynamicConfig> {
  if (typeof document.value !== 'object' || document.value === null || Array.isArray(document.value)) {
    const message = 'expected a config: a mapping with `routes`, `services` and `filters`'
    document.report({ code: 'MR_CONFIG_INVALID', message, path: [] })
    throw new ConfigError(document.problems)
  }
  const own = (key: string): boolean =>
    key.startsWith('x-') ||
    (Object.hasOwn(fileSchema.shape, key) && !(dynamicKeys as readonly string[]).includes(key))
  const half = Object.fromEntries(Object.entries(document.value).filter(([key]) => !own(key)))
  document.value = half
  const parsed = dynamicSchema.safeParse(half)
  if (!parsed.success) reportIssues(document, dynamicSchema, parsed.error.issues)
  runChecks(document, catalog)
  const pems = new PemFiles(directory)
  const services = Object.entries(asMap(half.services))
  await checkServicePems(document, pems, 'file or text')
  if (document.problems.length > 0) throw new ConfigError(inFileOrder(document.problems))
  const filled = services.map(([name, service]) => [name, withTexts(pems, asMap(service))])
  return {
    filters: asList(half.filters),
    routes: asList(half.routes),
    services: Object.fromEntries(filled),
  }
}

/** Config from a store cannot name files of a node: it holds their text. */
function withTexts(pems: PemFiles, service: DynamicConfig): DynamicConfig {
  if (service.tls === undefined) return service
  const tls = Object.entries(asMap(service.tls)).map(([key, value]) => [
    key,
    ['ca', 'cert', 'key'].includes(key) && typeof value === 'string' ? pems.get(value).text : value,
  ])
  return { ...service, tls: Object.fromEntries(tls) }
}

function inFileOrder<T extends { readonly line: number; readonly column: number }>(
  problems: readonly T[],
): T[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column)
}
