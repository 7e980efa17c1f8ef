/** What nobody should read over a shoulder: values are hidden by their name, by their schema, and by where they came from. */

export const hidden = '(hidden)'

/** Names of options and header fields. */
const secretName =
  /(?:pass(?:word|phrase|wd)?|secret|token|credential|authorization|(?:private|api|access|signing|shared)[-_]?key)s?$/i
/** `//name:` and what stands before the `@`. */
const urlPassword = /(\/\/[^\s/:@]*:)[^\s/@]+(?=@)/g
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----/

type Schema = Readonly<Record<string, unknown>>

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const schemas = (value: unknown): Schema[] => (Array.isArray(value) ? value.filter(isSchema) : [])

/**
 * Without secrets: by name, and in options of plugins whatever came from the environment.
 * @param redact puts references back for values from the environment
 */
export function withoutSecrets(value: unknown, redact: (text: string) => string, inUse = false): unknown {
  if (typeof value === 'string') {
    if (privateKey.test(value)) return hidden
    const open = inUse ? redact(value) : value
    return open.replace(urlPassword, `$1${hidden}`)
  }
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, redact, inUse))
  if (typeof value !== 'object' || value === null) return value
  const within = inUse || 'use' in value
  const pairs = Object.entries(value).map(([name, item]) => [
    name,
    secretName.test(name) && typeof item !== 'boolean' ? hidden : withoutSecrets(item, redact, within),
  ])
  return Object.fromEntries(pairs)
}

/** Options without those that the plugin's JSON Schema marks as secret. */
export function withoutMarked<T extends object>(options: T, schema: object | undefined): T {
  const paths = schema === undefined ? [] : secretPaths(schema as Record<string, unknown>)
  return paths.length === 0 ? options : (hide(options, [''], paths) as T)
}

/** @param at the paths that the place has: its own, and those with `*` for a key */
function hide(value: unknown, at: readonly string[], secret: readonly string[]): unknown {
  if (at.some((path) => secret.includes(path))) return hidden
  if (Array.isArray(value)) return value.map((item) => hide(item, at, secret))
  if (typeof value !== 'object' || value === null) return value
  const within = (name: string): string[] =>
    at
      .flatMap((path) => [name, '*'].map((step) => (path === '' ? step : `${path}.${step}`)))
      .filter((path) => secret.some((one) => one === path || one.startsWith(`${path}.`)))
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, hide(item, within(name), secret)]),
  )
}

/**
 * Names of the options, by their path, that the schema marks as secret: `writeOnly: true` or `format: password`, in zod
 * `.meta({ writeOnly: true })`. Items of lists count as their list; `*` stands for any key of a record.
 */
export function secretPaths(schema: Schema, path = ''): string[] {
  const own = path !== '' && (schema.writeOnly === true || schema.format === 'password') ? [path] : []
  const inner = [...schemas(schema.anyOf), ...schemas(schema.oneOf), ...schemas(schema.allOf)]
  const item = isSchema(schema.items) ? [schema.items] : []
  const { properties = {}, additionalProperties } = schema
  const members = [
    ...Object.entries(isSchema(properties) ? properties : {}),
    ['*', additionalProperties] as const,
  ]
  return [
    ...own,
    ...[...inner, ...item].flatMap((each) => secretPaths(each, path)),
    ...members.flatMap(([name, each]) =>
      isSchema(each) ? secretPaths(each, path === '' ? name : `${path}.${name}`) : [],
    ),
  ]
}
