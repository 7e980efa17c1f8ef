import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { checkPlugin, pluginOfModule } from '../../core/host/plugin-shape.ts'

const good = { api: 1, kind: 'filter', name: 'a', options: z.strictObject({}), create: () => ({}) }
const without = (key: keyof typeof good): object => {
  const { [key]: _, ...rest } = good
  return rest
}
const source = { kind: 'path' as const, specifier: './a.ts', location: '/a.ts' }
const refusal = (message: RegExp) =>
  expect.objectContaining({ code: 'MR_PLUGIN_SHAPE', message: expect.stringMatching(message) })

test('a plugin is accepted as it is', () => {
  expect(checkPlugin(good, 'x')).toBe(good)
  expect(pluginOfModule({ default: good }, source)).toBe(good)
  expect(pluginOfModule({ default: { __esModule: true, default: good } }, source)).toBe(good)
})

test('a module without a default export tells what it exports instead', () => {
  expect(() => pluginOfModule({ plugin: good }, source)).toThrow(
    refusal(
      /^Plugin \.\/a\.ts has no default export, but exports plugin; write: export default definePlugin/,
    ),
  )
})

describe('a wrong definition says what to change', () => {
  const cases: [what: string, value: unknown, message: RegExp][] = [
    ['null', null, /exports null/],
    ['a class', class A {}, /exports a function.*no class/],
    ['no api', without('api'), /has no "api"; write: api: 1/],
    ['a later api', { ...good, api: 2 }, /written for plugin API 2; this version of millrace has API 1/],
    ['no kind', without('kind'), /has no "kind"; expected one of algorithm, /],
    ['a misspelt kind', { ...good, kind: 'algoritm' }, /did you mean "algorithm"\?/],
    ['an inherited kind', { ...good, kind: 'constructor' }, /does not have; kinds/],
    ['no name', without('name'), /has no "name"/],
    ['a name that is not kebab-case', { ...good, name: 'My Filter' }, /lower-case words joined by hyphens/],
    ['no options', without('options'), /write: options: z\.strictObject\(\{\}\)/],
    ['options that are no schema', { ...good, options: { a: 'string' } }, /no Standard Schema/],
    [
      'misspelt options',
      { ...without('options'), option: good.options },
      /has no "options" \(but "option"\)/,
    ],
    ['no create', without('create'), /write: create\(context, options\)/],
    ['a create that is no function', { ...good, create: {} }, /"create" that is a object/],
    ['a misspelt description', { ...good, desciption: 'x' }, /did you mean "description"\?/],
    ['a table without an algorithm', { ...good, buildTable: () => new Uint8Array() }, /only an algorithm/],
    [
      'a table that is no function',
      { ...good, kind: 'algorithm', buildTable: 1 },
      /"buildTable" that is no function/,
    ],
  ]
  test.each(cases)('%s', (_what, value, message) => {
    expect(() => checkPlugin(value, 'Plugin ./a.ts')).toThrow(refusal(message))
  })
})
