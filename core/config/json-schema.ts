/** JSON Schema of the config file, for editors: the file's own schema, with the options of every loaded plugin. */
import { z } from 'zod'
import type { PluginKind } from '../contracts/plugin.ts'
import type { PluginCatalog } from './catalog.ts'
import { fileSchema } from './schema.ts'
import { slotKeys } from './uses.ts'

type Schema = Record<string, unknown>

/** Draft 7, which editors of YAML know best. Plugins without a JSON Schema take any option. */
export function configJsonSchema(catalog: PluginCatalog): object {
  const schema: Schema = z.toJSONSchema(fileSchema, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
  })
  const definitions = asSchema(schema.definitions)
  for (const kind of Object.keys(slotKeys) as PluginKind[])
    definitions[kind] = useSchema(catalog, kind, asSchemas(asSchema(definitions[kind]).anyOf))
  return { ...schema, title: 'Millrace', definitions, patternProperties: { '^x-': {} } }
}

/** The schema of one kind of use: the branches of the file's schema, with names and options filled in. */
function useSchema(catalog: PluginCatalog, kind: PluginKind, branches: readonly Schema[]): Schema {
  const canBeOff = branches.some((branch) => branch.const === false || branch.type === 'boolean')
  const slots = asSchema(branches.find((branch) => branch.type === 'object')?.properties)
  const names = catalog.names(kind)
  const words: unknown[] = canBeOff ? [...names, 'off', false] : [...names]
  const objects = names.map((name) => objectUse(name, slots, asSchema(catalog.jsonSchema(kind, name))))
  return { anyOf: [{ enum: words }, ...objects] }
}

function objectUse(name: string, slots: Schema, options: Schema): Schema {
  // References point into the plugin's own schema, and would lead nowhere in this one.
  const isReadable = options.properties !== undefined && !JSON.stringify(options).includes('"$ref"')
  if (!isReadable)
    return { type: 'object', properties: { ...slots, use: { const: name } }, required: ['use'] }
  return {
    type: 'object',
    properties: { ...asSchema(options.properties), ...slots, use: { const: name } },
    required: ['use', ...(Array.isArray(options.required) ? options.required : [])],
    additionalProperties: options.additionalProperties ?? false,
    ...(options.description === undefined ? {} : { description: options.description }),
  }
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

function asSchemas(value: unknown): readonly Schema[] {
  return Array.isArray(value) ? value.map(asSchema) : []
}
