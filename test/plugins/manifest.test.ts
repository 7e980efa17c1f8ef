import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { builtins } from '../../plugins/manifest.ts'
import { parsed } from './make.ts'

/** What a plugin cannot do without. */
const needed: Readonly<Record<string, object>> = {
  'sticky-cookie': { secrets: 'a secret of some length' },
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
  test('works without options that it does not need, refuses unknown ones, and says what it is', () => {
    const options = needed[plugin.name] ?? {}
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
})
