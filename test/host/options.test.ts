import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { duration } from '../../core/config/units.ts'
import type { PluginKind } from '../../core/contracts/plugin.ts'
import { optionProblems, optionsJsonSchema, parseOptions } from '../../core/host/options.ts'

const plugin = (options: StandardSchemaV1) => ({ kind: 'filter' as const, name: 'test', options })
const problems = (schema: StandardSchemaV1, raw: unknown, kind: PluginKind = 'algorithm') =>
  optionProblems({ ...plugin(schema), kind }, raw).map(({ path, message, suggestion }) =>
    [path.join('.'), message, suggestion].filter(Boolean).join(' | '),
  )

/** A schema of a library that is not zod: one required string, `word`. */
const foreign = (jsonSchema?: object): StandardSchemaV1<unknown, { word: string }> => ({
  '~standard': {
    version: 1,
    vendor: 'acme',
    validate: (value) => {
      const { word } = value as { word?: unknown }
      return typeof word === 'string'
        ? { value: { word } }
        : { issues: [{ message: 'expected a word', path: [{ key: 'word' }] }] }
    },
    ...(jsonSchema && { jsonSchema: { input: () => jsonSchema, output: () => jsonSchema } }),
  },
})

test('options are what the schema makes of them', () => {
  const schema = z.strictObject({ window: duration.default(10_000), name: z.string() })
  expect(parseOptions(plugin(schema), { name: 'a', window: '2s' })).toEqual({ name: 'a', window: 2000 })
  expect(parseOptions(plugin(schema), { name: 'a' })).toEqual({ name: 'a', window: 10_000 })
  expect(parseOptions(plugin(z.strictObject({})), undefined)).toEqual({})
})

test('all problems come at once, in one error with plugin and place', () => {
  const schema = z.object({ window: z.number(), threshold: z.number() })
  const parse = () => parseOptions(plugin(schema), { window: 'x', treshold: 1 }, 'services.api.breaker')
  expect(parse).toThrow(
    expect.objectContaining({
      code: 'MR_PLUGIN_OPTIONS',
      plugin: 'test',
      path: 'services.api.breaker',
      message: expect.stringMatching(
        /^Options of the filter "test" at services\.api\.breaker:\n {2}treshold: unknown key.*did you mean "threshold"\?\n {2}window: /,
      ),
    }),
  )
})

describe('an unknown key', () => {
  test('is named once, whether the schema is strict or not', () => {
    const expected = ['windw | unknown key "windw"; known: window, open | window']
    const shape = { window: z.number().optional(), open: z.number().optional() }
    expect(problems(z.object(shape), { windw: 1 })).toEqual(expected)
    expect(problems(z.strictObject(shape), { windw: 1 })).toEqual(expected)
  })

  test('is found at any depth, in lists and alternatives too', () => {
    const schema = z.object({
      rules: z.array(z.object({ set: z.record(z.string(), z.string()) })),
      to: z.union([z.string(), z.object({ url: z.string() }), z.object({ name: z.string() })]),
    })
    const raw = { rules: [{ set: { any: 'thing' } }, { set: {}, sett: {} }], to: { url: 'x', nam: 'y' } }
    expect(problems(schema, raw)).toEqual([
      expect.stringMatching(/^rules\.1\.sett \| /),
      'to.nam | unknown key "nam"; known: url, name | name',
    ])
  })

  test('is free where the schema is open', () => {
    expect(problems(z.looseObject({ a: z.number() }), { a: 1, b: 2 })).toEqual([])
    expect(problems(z.object({}).catchall(z.number()), { b: 2 })).toEqual([])
    expect(problems(z.record(z.string(), z.number()), { b: 2 })).toEqual([])
    expect(problems(foreign(), { word: 'a', other: 1 })).toEqual([])
  })

  test('is found for any library that tells its JSON Schema', () => {
    const schema = foreign({ type: 'object', properties: { word: { type: 'string' } } })
    expect(problems(schema, { word: 'a', wrd: 1 })).toEqual(['wrd | unknown key "wrd"; known: word'])
    expect(problems(schema, { wrd: 'a' })).toEqual([
      'wrd | unknown key "wrd"; known: word | word',
      'word | expected a word',
    ])
  })

  test('is found behind references, and circles end', () => {
    const node = { type: 'object', properties: { word: {}, next: { $ref: '#/$defs/node' } } }
    const schema = foreign({ $ref: '#/$defs/node', $defs: { node } })
    expect(problems(schema, { word: 'a', next: { next: { nxt: 1 } } })).toEqual([
      expect.stringMatching(/^next\.next\.nxt \| .* \| next$/),
    ])
    expect(problems(foreign({ $ref: '#' }), { word: 'a', other: 1 })).toEqual([])
    expect(problems(foreign({ $ref: 'https://example.com/x' }), { word: 'a', other: 1 })).toEqual([])
  })

  test('is told with the keys of the slot, which stand beside the options', () => {
    const schema = z.object({
      path: z.string().optional(),
      inner: z.object({ word: z.string().optional() }).optional(),
    })
    const slots = 'interval, timeout, rise, fall, initial'
    expect(problems(schema, { pth: '/' }, 'health-source')).toEqual([
      `pth | unknown key "pth"; known: path, inner, ${slots} | path`,
    ])
    expect(problems(schema, { inner: { intervall: 1 } }, 'health-source')).toEqual([
      'inner.intervall | unknown key "intervall"; known: word',
    ])
    expect(problems(z.strictObject({}), { intervall: '1s' }, 'health-source')).toEqual([
      `intervall | unknown key "intervall"; known: ${slots} | interval`,
    ])
    expect(problems(z.strictObject({}), { a: 1 }, 'filter')).toEqual([
      'a | unknown key "a"; known: id, failOpen, deadline',
    ])
    expect(problems(z.strictObject({}), { a: 1 }, 'circuit-breaker')).toEqual([
      'a | unknown key "a"; known: fallback',
    ])
  })

  test('is told where there are no options at all', () => {
    expect(problems(z.strictObject({}), { a: 1 })).toEqual(['a | unknown key "a"; there are no options here'])
  })
})

describe('a wrong value is told by what was expected', () => {
  const nested = z.strictObject({ list: z.array(z.strictObject({ url: z.url() })).min(1) })
  test.each<[z.ZodType, unknown, string]>([
    [z.number(), 'secret', 'expected a number, not a string'],
    [z.number(), true, 'expected a number, not a boolean'],
    [z.number(), null, 'expected a number, not null'],
    [z.int(), 1.5, 'expected a whole number'],
    [z.int(), '1', 'expected a number, not a string'],
    [z.boolean(), 1, 'expected true or false, not a number'],
    [z.string(), ['a'], 'expected a string, not a list'],
    [z.array(z.string()), { a: 1 }, 'expected a list, not a map'],
    [z.number(), undefined, '`a` is missing; expected a number'],
    [duration, undefined, '`a` is missing; expected a duration such as 250ms, 2s or 5m'],
    [z.enum(['strict', 'lax']), 'strickt', 'expected "strict" or "lax" | strict'],
    [z.enum(['strict', 'lax']), 5, 'expected "strict" or "lax"'],
    [z.literal(5), 6, 'expected 5'],
    [z.number().min(3), 2, 'expected at least 3'],
    [z.number().positive(), 0, 'expected more than 0'],
    [z.number().max(3), 4, 'expected at most 3'],
    [z.number().multipleOf(5), 4, 'expected a multiple of 5'],
    [z.string().min(1), '', 'expected at least 1 character'],
    [z.string().length(3), 'ab', 'expected exactly 3 characters'],
    [z.array(z.string()).min(2), [], 'expected at least 2 entries'],
    [z.string().startsWith('/'), 'a', 'expected a text that starts with "/"'],
    [z.string().regex(/^x/), 'a', 'expected a text that matches /^x/'],
    [z.url(), 'a', 'expected a URL'],
    [z.ipv4(), 'a', 'expected an IPv4 address'],
    [z.union([z.string(), z.int()]), true, 'expected a string or a number'],
    [z.union([z.string(), z.strictObject({ b: z.int() })]), { b: 'x' }, 'expected a number, not a string'],
    [z.string().refine(() => false), 'a', 'is not what is taken here'],
    // The author's own words stay, whatever they begin with.
    [z.string().regex(/^x/, 'Invalid tenant'), 'a', 'Invalid tenant'],
    [z.union([z.string(), z.int()], { error: 'a name or a number' }), true, 'a name or a number'],
  ])('case %#', (schema, value, message) => {
    const [found] = problems(z.strictObject({ a: schema }), { a: value })
    expect(found.replace(/^a(?:\.b)? \| /, '')).toBe(message)
  })

  test('at its place, however deep', () => {
    expect(problems(nested, { list: [{ url: 'http://a' }, { url: 3 }] })).toEqual([
      'list.1.url | expected a string, not a number',
    ])
  })

  test('and by another copy of zod with other issues, in its words', () => {
    const issue = { code: 'invalid_union', unionErrors: [], message: 'Invalid input', path: ['a'] }
    const validate = (): StandardSchemaV1.Result<unknown> => ({ issues: [issue] })
    const schema = { '~standard': { version: 1, vendor: 'zod', validate } } as unknown as StandardSchemaV1
    expect(problems(schema, { a: 1 })).toEqual(['a | is not what is taken here'])
  })
})

test('options that are no object are left to the schema', () => {
  expect(problems(z.object({ a: z.number() }), 'text')).toEqual(['expected a map, not a string'])
})

test('an asynchronous schema is refused', () => {
  const schema = z.object({ a: z.string().refine(async () => true) })
  expect(problems(schema, { a: 'x' })).toEqual([expect.stringContaining('must be checked synchronously')])
})

test('a schema that throws is a problem of the options', () => {
  const fail = (): never => {
    throw new Error('boom')
  }
  const throwing: StandardSchemaV1 = { '~standard': { version: 1, vendor: 'acme', validate: fail } }
  expect(problems(throwing, {})).toEqual(['the plugin’s schema threw: boom'])
  const transform = z.object({ a: z.string().transform(fail) })
  expect(problems(transform, { a: 'x' })).toEqual([expect.stringContaining('a transform in it threw')])
})

test('JSON Schema is what the schema takes, not what it gives', () => {
  expect(optionsJsonSchema(z.object({ window: duration }))).toMatchObject({
    properties: { window: { type: 'string' } },
    required: ['window'],
  })
  expect(optionsJsonSchema(z.object({ made: z.date() }))).toMatchObject({ properties: { made: {} } })
  expect(optionsJsonSchema(foreign())).toBeUndefined()
})
