import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { optionProblems, optionsJsonSchema, parseOptions } from '../../core/host/options.ts'
import { CodeRoom } from '../../core/threads/code-room.ts'

function bench(history?: number, ms?: number) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const room = new CodeRoom(history, ms)
  onTestFinished(() => room.close())
  const load = (text: string, name = 'a.ts') => {
    writeFileSync(join(directory, name), text)
    return room.load({ specifier: `./${name}`, kind: 'path', location: join(directory, name) })
  }
  return { room, load, directory }
}

const plugin = (body: string, kind = 'filter', more = ''): string => `
import { definePlugin, z } from 'millrace'
${more}
export default definePlugin({ api: 1, kind: '${kind}', name: 'a', ${body} })`
const plain = (mark: string): string =>
  plugin(`options: z.strictObject({}), create: () => ({}), description: '${mark}'`)

test('a schema is asked where the code is, with its words and places', async () => {
  const { load } = bench()
  const { definition, hash, code } = await load(
    plugin(
      `options: z.strictObject({ size: z.number().max(5), list: z.array(z.string()).optional() }), create: () => ({})`,
    ),
  )
  expect(definition).toMatchObject({ kind: 'filter', name: 'a' })
  expect(code?.hash).toBe(hash)
  expect(optionProblems(definition, { size: 4 })).toEqual([])
  expect(optionProblems(definition, { size: 9, list: ['a', 1] })).toMatchObject([
    { path: ['size'] },
    { path: ['list', 1], message: expect.stringContaining('string') },
  ])
  expect(optionProblems(definition, { size: 1, sise: 2 })).toMatchObject([
    { path: ['sise'], message: expect.stringContaining('unknown key') },
  ])
  expect(optionsJsonSchema(definition.options)).toMatchObject({ properties: { size: { maximum: 5 } } })
})

test('a schema that throws or is asynchronous is said to be', async () => {
  const { load } = bench()
  const own = (validate: string): string =>
    plugin(
      `options: { '~standard': { version: 1, vendor: 'own', validate: ${validate} } }, create: () => ({})`,
    )
  const throwing = await load(own("() => { throw new Error('no') }"), 'throwing.ts')
  expect(optionProblems(throwing.definition, {})).toMatchObject([
    { message: expect.stringContaining('threw: no') },
  ])
  const late = await load(own('async (value) => ({ value })'), 'late.ts')
  expect(optionProblems(late.definition, {})).toMatchObject([
    { message: expect.stringContaining('asynchronous') },
  ])
})

test('a table is built where the code is, from the options as the schema makes them', async () => {
  const { load } = bench()
  const { definition } = await load(
    plugin(
      'options: z.strictObject({ add: z.string().transform(Number) }), create: () => ({}), buildTable: (members, { add }) => Uint8Array.of(members.length + add)',
      'algorithm',
    ),
  )
  const build = (definition as { buildTable?(members: unknown[], options: unknown): Uint8Array }).buildTable
  expect(build?.([1, 2], parseOptions(definition, { add: '40' }))).toEqual(Uint8Array.of(42))
})

test('code that ends its thread while it is tried ends nothing else, and says what it threw', async () => {
  const { load } = bench()
  const bomb = plugin(
    'options: z.strictObject({}), create: () => ({})',
    'filter',
    "setTimeout(() => { throw new Error('boom') }, 1); await new Promise(() => {})",
  )
  await expect(load(bomb)).rejects.toMatchObject({
    code: 'MR_PLUGIN_LOAD',
    message: 'Plugin ./a.ts: its code ended the thread that tried it: boom',
  })
  expect((await load(plain('mended'))).definition.name).toBe('a')
})

test('what is wrong with a file is said as elsewhere', async () => {
  const { load, room } = bench()
  await expect(load("import './helper'\n")).rejects.toMatchObject({
    code: 'MR_PLUGIN_LOAD',
    message: expect.stringMatching(/^Plugin \.\/a\.ts: .*helper, which does not exist/),
  })
  await expect(load('\nenum Color { red }\n')).rejects.toMatchObject({
    message: expect.stringMatching(/as const\na\.ts:2\nenum Color \{ red \}\n\^+$/),
  })
  await expect(load('export default 1')).rejects.toMatchObject({ code: 'MR_PLUGIN_SHAPE' })
  const location = join(tmpdir(), 'millrace-nowhere.ts')
  await expect(room.load({ specifier: './no.ts', kind: 'path', location })).rejects.toMatchObject({
    message: expect.stringContaining('there is no file'),
  })
})

test('code that ends its thread while it is asked is not waited for', async () => {
  const { load } = bench()
  const { definition } = await load(
    plugin(
      "options: { '~standard': { version: 1, vendor: 'own', validate: () => process.exit(1) } }, create: () => ({})",
    ),
  )
  const ended = [{ message: expect.stringContaining('its code ended the thread that tried it') }]
  // The second time without a turn of the event loop, in which its end would be told.
  expect(optionProblems(definition, {})).toMatchObject(ended)
  expect(optionProblems(definition, {})).toMatchObject(ended)
  expect((await load(plain('mended'))).definition.name).toBe('a')
})

test('a schema that never answers is waited for once in a turn, however often a config asks', async () => {
  const { load, directory } = bench(undefined, 3000)
  const asked = join(directory, 'asked')
  const { definition } = await load(
    plugin(
      `options: { '~standard': { version: 1, vendor: 'own', validate() { appendFileSync(${JSON.stringify(asked)}, 'x'); for (;;); } } }, create: () => ({})`,
      'filter',
      "import { appendFileSync } from 'node:fs'",
    ),
  )
  const late = [{ message: expect.stringContaining('the plugin’s schema was late: no answer within 3 s') }]
  expect(optionProblems(definition, {})).toMatchObject(late)
  expect(optionProblems(definition, {})).toMatchObject(late)
  expect(readFileSync(asked, 'utf8')).toBe('x')
})

// No package.json says what a.js is: what the disk holds by then must not be taken for it.
test.each([
  'a.ts',
  'a.js',
])('what was loaded before the room was cleared is still answered for: %s', async (name) => {
  const { load } = bench(2)
  const first = await load(plugin('options: z.strictObject({ first: z.number() }), create: () => ({})'), name)
  for (let i = 0; i < 7; i++) await load(plain(String(i)), name)
  expect(optionProblems(first.definition, { first: 1 })).toEqual([])
  expect(optionProblems(first.definition, { first: 'x' })).toMatchObject([{ path: ['first'] }])
})

test('the same code is the same plugin, and a kind of the main thread runs there', async () => {
  const { load } = bench()
  expect(await load(plain('a'))).toBe(await load(plain('a')))
  const source = await load(
    plugin('options: z.strictObject({}), create: () => ({ update() {} })', 'health-source'),
    'health.ts',
  )
  expect(source.definition.create({} as never, {} as never)).toMatchObject({ update: expect.any(Function) })
})
