/** A plugin in the config: `name` or `{ use: name, …options }`. Slot keys belong to the core; what is left are the
 * plugin's own options, which stay raw here and are parsed by the plugin's schema. */
import { z } from 'zod'
import { protectedFields } from '../contracts/filter.ts'
import type { PluginKind } from '../contracts/plugin.ts'
import { isFieldValue, isToken } from '../http1/tables.ts'
import type { Fault } from './addresses.ts'
import { positiveDuration } from './units.ts'

/** A string that is parsed; `hint` says what was expected when it is no string at all. */
export function parsedText<T extends object>(hint: string, parse: (text: string) => T) {
  return z.string({ error: hint }).transform((text, context): Exclude<T, Fault> => {
    const result = parse(text)
    if (!isFault(result)) return result as Exclude<T, Fault>
    context.addIssue({ code: 'custom', message: result.fault, params: { suggestion: result.suggestion } })
    return z.NEVER
  })
}

function isFault(value: object): value is Fault {
  return 'fault' in value
}

const useHint = 'expected the name of a plugin, or { use: name, …options }'

/** Never a path or package: those stand under `plugins:` only, so that config from elsewhere cannot name code. */
export const pluginName = z
  .string({ error: useHint })
  .regex(
    /^[a-z][a-z0-9-]*$/,
    'expected the name of a plugin (lower case, digits, hyphens); its file or package stands under `plugins:`',
  )

const switchedOff = z.literal(false)

const healthObject = z.looseObject({
  use: pluginName,
  interval: positiveDuration.prefault('2s'),
  timeout: positiveDuration.prefault('1s'),
  rise: z.int().min(1).max(1000).default(2),
  fall: z.int().min(1).max(1000).default(3),
  initial: z.enum(['up', 'down']).default('up'),
})

const inTable = (text: string, table: Uint8Array): boolean =>
  [...text].every((char) => char.charCodeAt(0) < 256 && table[char.charCodeAt(0)] === 1)
const isFieldName = (name: string): boolean =>
  name !== '' && inTable(name, isToken) && !protectedFields.has(name.toLowerCase())
const isFieldText = (value: string): boolean => inTable(value, isFieldValue)

const fallbackHint = 'expected { service: name } or { status, headers, body }'
/** RFC 9110 §15.3.5, §15.3.6, §15.4.5. */
const withoutBody: readonly number[] = [204, 205, 304]
const fallbackFields = z.strictObject({
  status: z.int().min(200).max(599).default(503),
  headers: z
    .record(
      z.string().refine((name) => isFieldName(name), 'expected a header name that is not the core’s own'),
      z.string().refine((value) => isFieldText(value), 'a header value holds a forbidden character'),
    )
    .default({}),
  body: z.string().default(''),
})
const fallbackAnswer = fallbackFields.refine(
  ({ status, body }) => body === '' || !withoutBody.includes(status),
  {
    message: 'an answer of this status has no body (204, 205, 304)',
    path: ['body'],
  },
)
const breakerObject = z.looseObject({
  use: pluginName,
  fallback: z
    .union([z.strictObject({ service: z.string() }), fallbackAnswer], { error: fallbackHint })
    .optional(),
})

const filterObject = z.looseObject({
  use: pluginName,
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'expected a name: letters, digits, ".", "_", "-"')
    .optional(),
  failOpen: z.boolean().default(false),
  deadline: positiveDuration.prefault('5s'),
})

const syncObject = z.looseObject({
  use: pluginName,
  poll: positiveDuration.prefault('1s').describe('How often the store is asked while the bus is down'),
  reconcile: positiveDuration.prefault('60s').describe('And while it is up'),
})

/** Ids in the metadata name the definitions of the JSON Schema, which are refined with the loaded plugins' options. */
export const algorithmUse = z
  .union([pluginName, z.looseObject({ use: pluginName })], { error: useHint })
  .meta({ id: 'algorithm' })
export const breakerUse = z
  .union([switchedOff, pluginName, breakerObject], { error: `${useHint}, or off` })
  .meta({ id: 'circuit-breaker' })
export const healthUse = z
  .union([switchedOff, pluginName, healthObject], { error: `${useHint}, or off` })
  .meta({ id: 'health-source' })
export const filterUse = z.union([pluginName, filterObject], { error: useHint }).meta({ id: 'filter' })
export const storeUse = z
  .union([pluginName, z.looseObject({ use: pluginName })], { error: useHint })
  .meta({ id: 'config-store' })
export const syncUse = z.union([pluginName, syncObject], { error: useHint }).meta({ id: 'config-sync' })

/** Keys of a use that belong to the core, per kind. */
export const slotKeys: Readonly<Record<PluginKind, readonly string[]>> = {
  algorithm: ['use'],
  'circuit-breaker': ['use', 'fallback'],
  'health-source': ['use', 'interval', 'timeout', 'rise', 'fall', 'initial'],
  filter: ['use', 'id', 'failOpen', 'deadline'],
  'config-store': ['use'],
  'config-sync': ['use', 'poll', 'reconcile'],
  election: ['use'],
  lock: ['use'],
  'failure-detector': ['use'],
  provisioner: ['use'],
  'metrics-source': ['use'],
  'dns-publisher': ['use'],
  vip: ['use'],
}

/** Slot values with their defaults, for a use that is written as a bare name too. */
export const readHealth = (use: string | z.output<typeof healthObject>) =>
  typeof use === 'string' ? healthObject.parse({ use }) : use
export const readBreaker = (use: string | z.output<typeof breakerObject>) =>
  typeof use === 'string' ? breakerObject.parse({ use }) : use
export const readFilter = (use: string | z.output<typeof filterObject>) =>
  typeof use === 'string' ? filterObject.parse({ use }) : use
export const readSync = (use: string | z.output<typeof syncObject>) =>
  typeof use === 'string' ? syncObject.parse({ use }) : use

/** `off` and `false` switch a part off; YAML reads an unquoted `off` as a string. */
export function isOff(use: unknown): boolean {
  return use === false || use === 'off'
}

/** The options of a use: all but the slot keys of its kind. */
export function optionsOf(kind: PluginKind, use: unknown): Record<string, unknown> {
  if (typeof use !== 'object' || use === null) return {}
  const slots = slotKeys[kind]
  return Object.fromEntries(Object.entries(use).filter(([key]) => !slots.includes(key)))
}

/** The name of a use; undefined where it is malformed. */
export function useName(use: unknown): string | undefined {
  const name = typeof use === 'object' && use !== null && 'use' in use ? use.use : use
  return typeof name === 'string' ? name : undefined
}
