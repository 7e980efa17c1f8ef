import { expect, test } from 'vitest'
import { z } from 'zod'
import { type AnyPlugin, definePlugin } from '../../core/contracts/plugin.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { builtIn } from '../../core/host/registry.ts'

const algorithm = (name: string): AnyPlugin =>
  definePlugin({
    api: 1,
    kind: 'algorithm',
    name,
    options: z.object({ size: z.number().default(1) }),
    create: () => ({ update() {}, pick: () => undefined }),
  })
const filter = (name: string): AnyPlugin =>
  definePlugin({ api: 1, kind: 'filter', name, options: z.strictObject({}), create: () => ({}) })

const registry = () => loadPlugins([], [algorithm('maglev'), algorithm('random'), filter('headers')])
const unknown = (message: RegExp) =>
  expect.objectContaining({ code: 'MR_PLUGIN_UNKNOWN', message: expect.stringMatching(message) })

test('a plugin is found by kind and name', async () => {
  const plugins = await registry()
  expect(plugins.find('algorithm', 'maglev')).toMatchObject({ source: 'built-in', hash: 'built-in' })
  expect(plugins.has('filter', 'maglev')).toBe(false)
  expect(plugins.list().map(({ definition }) => definition.name)).toEqual(['maglev', 'random', 'headers'])
})

test('an unknown name tells what was meant and what there is', async () => {
  const plugins = await registry()
  expect(() => plugins.find('algorithm', 'magelv')).toThrow(
    unknown(/algorithm is named "magelv" — did you mean "maglev"\?; known: maglev, random$/),
  )
  expect(() => plugins.find('algorithm', 'headers')).toThrow(unknown(/"headers" is of kind filter/))
  expect(() => plugins.find('filter', './my.ts')).toThrow(unknown(/stands under `plugins:`/))
  expect(() => plugins.find('health-source', 'x')).toThrow(unknown(/known: none$/))
})

test('the same name may be used in two kinds, not twice in one; a built-in cannot be replaced', async () => {
  const plugins = await registry()
  plugins.add(builtIn(filter('maglev')))
  expect(() =>
    plugins.add({
      definition: filter('headers'),
      source: { kind: 'path', specifier: './h.ts', location: '/h.ts' },
      hash: 'x',
    }),
  ).toThrow(
    expect.objectContaining({
      code: 'MR_PLUGIN_DUPLICATE',
      message: 'plugin ./h.ts: the filter "headers" is a built-in; give the plugin another name',
    }),
  )
})

test('the catalog tells the config’s reader names, wrong options and JSON Schema', async () => {
  const catalog = (await registry()).catalog()
  expect(catalog.names('algorithm')).toEqual(['maglev', 'random'])
  expect(catalog.validateOptions('algorithm', 'maglev', { size: 5 })).toEqual([])
  expect(catalog.validateOptions('algorithm', 'maglev', { siez: 5 })).toEqual([
    { path: ['siez'], message: 'unknown key "siez"; known: size', suggestion: 'size' },
  ])
  expect(catalog.jsonSchema('algorithm', 'maglev')).toEqual({
    type: 'object',
    properties: { size: { type: 'number', default: 1 } },
  })
})
