/**
 * The dynamic half of a config (routes, services, filters) where it comes from a store: the same checks and the same problems
 * as in a file. It names neither code nor files of the node, and nothing in it is expanded.
 */
import type { z } from 'zod'
import type { PluginCatalog } from './catalog.ts'
import { asMap, runChecks } from './checks.ts'
import { ConfigDocument } from './document.ts'
import { reportIssues } from './issues.ts'
import { normaliseDynamic } from './normalise.ts'
import { checkServicePems } from './pem-checks.ts'
import { PemFiles } from './pem-files.ts'
import { ConfigError } from './problems.ts'
import { dynamicKeys, dynamicSchema, fileSchema } from './schema.ts'
import type { Snapshot } from './snapshot.ts'

export type DynamicHalf = Pick<Snapshot, 'filters' | 'routes' | 'services'>

/** What may stand in the document `config`, before units are read and defaults are filled in. */
export type DynamicInput = z.input<typeof dynamicSchema>

/**
 * @param data parsed JSON
 * @param origin where it comes from, for problems
 * @throws ConfigError with every problem
 */
export async function checkDynamic(
  data: unknown,
  origin: string,
  plugins: PluginCatalog | undefined,
): Promise<DynamicHalf> {
  const document = new ConfigDocument(origin, {})
  document.value = withoutBootstrap(document, data)
  const parsed = dynamicSchema.safeParse(document.value)
  if (!parsed.success) reportIssues(document, dynamicSchema, parsed.error.issues)
  runChecks(document, plugins)
  const pems = new PemFiles('')
  await checkServicePems(document, pems, 'text')
  if (document.problems.length > 0 || !parsed.success) throw new ConfigError(document.problems)
  return normaliseDynamic(parsed.data, {}, pems)
}

/** What belongs to the local file is told apart from what nobody knows. */
function withoutBootstrap(document: ConfigDocument, data: unknown): unknown {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return data
  const local = Object.keys(data).filter((key) => isLocal(key))
  for (const key of local) {
    const reason = key === 'plugins' ? ': config from a store never names code' : ''
    document.report({
      code: 'MR_CONFIG_INVALID',
      message: `\`${key}\` belongs to the file of each node${reason}`,
      path: [key],
      atKey: true,
    })
  }
  return Object.fromEntries(Object.entries(asMap(data)).filter(([key]) => !local.includes(key)))
}

function isLocal(key: string): boolean {
  return Object.hasOwn(fileSchema.shape, key) && !(dynamicKeys as readonly string[]).includes(key)
}
