import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { optionRows } from '../../cli/plugin/option-rows.ts'
import { optionsJsonSchema } from '../../core/host/options.ts'
import { builtins } from '../../plugins/manifest.ts'
import { filterOptions } from './filter-options.ts'
import { parsed } from './make.ts'

/** What other kinds cannot do without. */
const needed: Readonly<Record<string, object>> = {
  redlock: { nodes: [1, 2, 3].map((host) => `redis://127.0.0.${host}`) },
}

const root = new URL('../../plugins/', import.meta.url)

test('every file under a kind is a built-in of that kind and name, and the other way round', () => {
  const files = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'lib')
    .flatMap((kind) => readdirSync(new URL(`${kind.name}/`, root)).map((file) => `${kind.name}/${file}`))
  expect(builtins.map(({ kind, name }) => `${kind}/${name}.ts`).sort()).toEqual(files.sort())
})

describe.each(
  builtins.map((plugin) => [`${plugin.kind} ${plugin.name}`, plugin] as const),
)('%s', (_, plugin) => {
  const options = plugin.kind === 'filter' ? filterOptions[plugin.name] : (needed[plugin.name] ?? {})

  test('works with its options, refuses unknown ones, and says what it is', () => {
    expect(() => parsed(plugin, options)).not.toThrow()
    expect(() => parsed(plugin, { ...options, unheardOf: 1 })).toThrow(/unheardOf/)
    expect(plugin.description).toMatch(/\.$/)
  })

  test('its options have a JSON Schema', () => {
    const standard = plugin.options['~standard'] as {
      jsonSchema?: { input(options: object): { type?: string } }
    }
    expect(standard.jsonSchema?.input({ target: 'draft-2020-12' }).type).toBe('object')
  })

  test('each of its options says what it is for', () => {
    const rows = optionRows(optionsJsonSchema(plugin.options) ?? {})
    for (const { name, description } of rows) expect(`${name}: ${description}`).toMatch(/: [^.].{5,}[^.]$/)
  })
})
