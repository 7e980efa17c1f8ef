import { expect, test } from 'vitest'
import type { AnyPlugin } from '../../core/contracts/plugin.ts'
import type { LoadedPlugin } from '../../core/host/registry.ts'
import { blame, codeUrl, toldOf } from '../../core/threads/blame.ts'

const plugin = (name: string, more: Partial<LoadedPlugin>): LoadedPlugin => ({
  definition: { kind: 'filter', name } as AnyPlugin,
  source: { specifier: `./${name}.ts`, kind: 'path', location: `/p/${name}.ts` },
  hash: 'none',
  ...more,
})

const plugins = [
  plugin('one', { hash: 'aaaa' }),
  plugin('two', { hash: 'bbbb' }),
  plugin('packed', {
    source: { specifier: '@acme/jwt', kind: 'package', location: 'file:///p/' },
    entry: 'file:///p/node_modules/@acme/jwt/dist/index.js',
  }),
  plugin('mirror', { source: 'built-in' }),
]

test.each([
  ['the plugin file', 'at f (file:///p/one.ts?millrace=aaaa:3:4)', 'one'],
  ['a helper of the plugin', 'at file:///p/lib/help.ts?millrace=bbbb:3:4', 'two'],
  ['any file of a package', 'at f (file:///p/node_modules/@acme/jwt/lib/deep.js:1:1)', 'packed'],
  ['a built-in', 'at f (file:///app/plugins/filter/mirror.ts:1:1)', 'mirror'],
  [
    'the nearest of two',
    'at f (file:///p/two.ts?millrace=bbbb:1:1)\n at g (file:///p/one.ts?millrace=aaaa:1:1)',
    'two',
  ],
  [
    'below code of the core',
    'at f (file:///app/core/a.ts:1:1)\n at g (file:///p/one.ts?millrace=aaaa:1:1)',
    'one',
  ],
  ['a file in a folder of any name', 'at f (file:///p/(a)/one.ts?millrace=aaaa:3:4)', 'one'],
  ['what an async function awaits', 'at async f (file:///p/one.ts?millrace=aaaa:3:4)', 'one'],
  ['another version', 'at f (file:///p/one.ts?millrace=cccc:3:4)', undefined],
  ['another package', 'at f (file:///p/node_modules/@acme/other/index.js:1:1)', undefined],
  ['nobody', 'at f (node:net:1:1)', undefined],
])('%s', (_, frames, name) => {
  expect(blame(`Error: boom\n    ${frames}`, plugins)?.definition.name).toBe(name)
})

test('what a message says is no frame', () => {
  expect(blame('Error: file:///p/one.ts?millrace=aaaa:3:4\n    at f (node:net:1:1)', plugins)).toBeUndefined()
})

test('code of a version that nobody knows is found by the version in its URL', () => {
  const frames = 'at f (file:///app/core/a.ts:1:1)\n    at g (file:///p/one.ts?millrace=cccc:3:4)'
  expect(codeUrl(`Error: boom\n    ${frames}`)).toBe('file:///p/one.ts?millrace=cccc')
  expect(codeUrl('Error: boom\n    at f (file:///app/core/a.ts:1:1)')).toBeUndefined()
})

test.each([
  [Object.assign(new Error('boom'), { stack: null }), { stack: '', message: 'boom' }],
  [
    Object.assign(new Error('boom'), { stack: 42, message: ['no', 'text'] }),
    { stack: '42', message: 'no,text' },
  ],
  [undefined, { stack: '', message: 'undefined' }],
])('whatever a plugin throws can be told: %#', (error, told) => expect(toldOf(error)).toEqual(told))
