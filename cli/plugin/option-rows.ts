/** The options of a plugin, as its JSON Schema says them. */

export interface OptionRow {
  readonly name: string
  /** For people: `integer`, `"a" | "b"`, `string[]`, `object`. */
  readonly type: string
  readonly required: boolean
  readonly default?: unknown
  readonly description?: string
}

type Schema = Readonly<Record<string, unknown>>

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const schemas = (value: unknown): Schema[] => (Array.isArray(value) ? value.filter(isSchema) : [])

export function optionRows(schema: Schema): OptionRow[] {
  const required = Array.isArray(schema.required) ? schema.required : []
  return Object.entries(isSchema(schema.properties) ? schema.properties : {}).map(([name, own]) => ({
    name,
    type: isSchema(own) ? typeText(own) : 'any',
    required: required.includes(name),
    ...(isSchema(own) && 'default' in own ? { default: own.default } : {}),
    ...(isSchema(own) && typeof own.description === 'string' ? { description: own.description } : {}),
  }))
}

function typeText(schema: Schema): string {
  if ('const' in schema) return JSON.stringify(schema.const)
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  const branches = [...schemas(schema.anyOf), ...schemas(schema.oneOf)]
  if (branches.length > 0) return [...new Set(branches.map(typeText))].join(' | ')
  if (schema.type === 'array') {
    const item = isSchema(schema.items) ? typeText(schema.items) : 'any'
    return item.includes(' ') ? `(${item})[]` : `${item}[]`
  }
  if (typeof schema.type === 'string') return schema.type
  return Array.isArray(schema.type) ? schema.type.join(' | ') : 'any'
}
