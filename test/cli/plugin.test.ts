import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { callCli } from './call-cli.ts'
import { folderWith, runCli } from './run-cli.ts'
import { typesOf } from './types-of.ts'

const kinds = ['algorithm', 'circuit-breaker', 'filter', 'health-source']

/** The first code block of a language. */
const block = (markdown: string, language: string): string =>
  new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(markdown)?.[1] ?? ''

test.each(
  kinds,
)('plugin new %s: passes the kit, its types resolve, and its config is right', async (kind) => {
  const directory = folderWith({})
  const made = await callCli(['plugin', 'new', kind, 'my-own'], { directory })
  expect(made).toMatchObject({ status: 0, err: '' })
  expect(made.out.trimEnd().split('\n').slice(-3)).toEqual([
    expect.stringMatching(/^1\. Edit {3}my-own\/my-own\.ts$/),
    expect.stringMatching(/^2\. Test .* plugin test my-own$/),
    expect.stringMatching(/^3\. Use .*\.\/my-own\/my-own\.ts.*: \[?my-own/),
  ])
  const tested = await runCli(['plugin', 'test', 'my-own'], { directory })
  expect(tested).toMatchObject({ status: 0, out: expect.stringMatching(/pass [1-9]/) })
  expect(tested.out).toMatch(/fail 0[\s\S]*skipped 0/)
  expect(typesOf(path.join(directory, 'my-own'))).toBe('')
  const readme = readFileSync(path.join(directory, 'my-own/README.md'), 'utf8')
  expect(readme).not.toMatch(/\{\{|undefined/)
  // Where the README says that the config lies, and how it is checked from the folder of the plugin.
  expect(readme).toContain('In a config that lies beside this folder, such as `../millrace.yaml`')
  const [, check] = /^npx millrace (check -c \S+)/m.exec(block(readme, 'sh')) ?? []
  writeFileSync(path.join(directory, 'millrace.yaml'), block(readme, 'yaml'))
  expect(await callCli(check.split(' '), { directory: path.join(directory, 'my-own') })).toMatchObject({
    status: 0,
    err: '',
  })
  // What its own commands make is nothing for git.
  const ignored = readFileSync(path.join(directory, 'my-own/.gitignore'), 'utf8').split('\n')
  expect(ignored).toEqual(['node_modules/', 'dist/', 'bench-results/', '*.tgz', ''])
})

test('types are really checked: a wrong one is found in a new plugin', async () => {
  const directory = folderWith({})
  await callCli(['plugin', 'new', 'algorithm', 'my-own'], { directory })
  const file = path.join(directory, 'my-own/my-own.ts')
  writeFileSync(file, readFileSync(file, 'utf8').replace('word = random()', 'word: string = random()'))
  expect(typesOf(path.join(directory, 'my-own'))).toMatch(/my-own\.ts.*TS2322/)
})

test('an answer that a hook of a filter returns, in place of calling respond, is a type error', async () => {
  const directory = folderWith({})
  await callCli(['plugin', 'new', 'filter', 'my-own'], { directory })
  const own = readFileSync(path.join(directory, 'my-own/my-own.ts'), 'utf8')
  const returning = own.replace(/exchange\.respond\(.*\)/, 'return { status: 400 }')
  const trying = own.replace('onDone() {},', 'onDone() {},\n      onAttempt: () => ({ status: 401 }),')
  const promising = own
    .replace('onDone() {},', 'async onResponse() { return { status: 401 } },')
    .replace(/onResponse\(exchange\) \{[\s\S]*?\n {6}\},/, '')
  const wrong = { returning, trying, promising }
  for (const [name, text] of Object.entries(wrong)) {
    expect(text).not.toBe(own)
    writeFileSync(path.join(directory, `my-own/${name}.ts`), text)
  }
  const said = typesOf(path.join(directory, 'my-own'))
  for (const name of Object.keys(wrong)) expect(said).toMatch(new RegExp(`${name}\\.ts.*TS2322`))
})

test('plugin new leaves a .gitignore alone that is there', async () => {
  const directory = folderWith({ 'mine/.gitignore': 'mine\n' })
  const { status, out } = await runCli(['plugin', 'new', 'filter', 'a', '--dir', 'mine'], { directory })
  expect(status).toBe(0)
  expect(out.split('\n')[0]).not.toContain('.gitignore')
  expect(readFileSync(path.join(directory, 'mine/.gitignore'), 'utf8')).toBe('mine\n')
})

test('plugin new names a file that stands where the folder is to be', async () => {
  const directory = folderWith({ taken: '' })
  for (const [place, words] of [
    ['taken', /taken is a file; --dir names a folder/],
    ['taken/below', /taken, on the way to .*below, is a file/],
  ] as const) {
    const { status, out, err } = await callCli(['plugin', 'new', 'filter', 'a', '--dir', place], {
      directory,
    })
    expect({ status, out }).toEqual({ status: 2, out: '' })
    expect(err).toMatch(words)
    expect(err).not.toMatch(/EEXIST|ENOTDIR/)
  }
})

test('plugin new writes over nothing', async () => {
  const directory = folderWith({ 'mine/README.md': 'mine' })
  const { status, err } = await callCli(['plugin', 'new', 'filter', 'a', '--dir', 'mine'], { directory })
  expect(status).toBe(2)
  expect(err).toMatch(/README\.md.*nothing was written/)
  expect(readFileSync(path.join(directory, 'mine/README.md'), 'utf8')).toBe('mine')
  expect(await callCli(['plugin', 'test', 'mine'], { directory })).toMatchObject({ status: 2 })
})

test.each([
  ['algoritm', 'a', 'did you mean "algorithm"'],
  ['breaker', 'a', 'did you mean "circuit-breaker"'],
  ['config-store', 'a', 'nothing hosts them yet'],
  ['nonsense', 'a', 'kinds: algorithm, circuit-breaker, filter, health-source'],
  ['filter', 'myFilter', 'did you mean "my-filter"'],
  ['filter', '-x', 'lower-case words'],
  ['algorithm', 'maglev', 'built in'],
])('plugin new %s %s is refused: %s', async (kind, name, words) => {
  const directory = folderWith({})
  const { status, out, err } = await callCli(['plugin', 'new', '--', kind, name], { directory })
  expect({ status, out }).toEqual({ status: 2, out: '' })
  expect(err).toContain(words)
})

test('plugin test ends with the status of the tests, wherever it is started from', async () => {
  const test = (body: string): string =>
    `import { strict as assert } from 'node:assert'
     import { test } from 'node:test'
     import { z } from 'millrace'
     test('one', () => ${body})`
  const directory = folderWith({
    'good/src/a.test.ts': test('void z.string()'),
    'good/node_modules/b/b.test.ts': test('assert.fail()'),
    'bad/a.ts': '',
    'bad/a.test.ts': test('assert.equal(1 as number, 2)'),
  })
  // As it is when something else on node:test starts it: there, children report to the one above, and end with 0.
  const inside = { directory, env: { NODE_TEST_CONTEXT: 'child-v8' } }
  expect(await runCli(['plugin', 'test', 'good'], inside)).toMatchObject({
    status: 0,
    out: expect.stringMatching(/tests 1\n[\s\S]*pass 1\n/),
  })
  for (const place of ['bad', 'bad/a.test.ts', 'bad/a.ts'])
    expect(await runCli(['plugin', 'test', place], inside)).toMatchObject({
      status: 1,
      out: expect.stringMatching(/fail 1\n/),
    })
})

test('plugin test takes the folder that it is started in, and paths with the letters of patterns', async () => {
  const passing = "import { test } from 'node:test'\ntest('one', () => {})\n"
  const directory = folderWith({
    '[a]{b,c}(d)/x.test.ts': passing,
    '[a]{b,c}(d)/y[1].test.ts': passing,
    'a/x.test.ts': "throw new Error('another folder')",
  })
  const folder = path.join(directory, '[a]{b,c}(d)')
  for (const [args, where, tests] of [
    [[], folder, 2],
    [['[a]{b,c}(d)'], directory, 2],
    [['[a]{b,c}(d)/y[1].test.ts'], directory, 1],
  ] as const)
    expect(await runCli(['plugin', 'test', ...args], { directory: where })).toMatchObject({
      status: 0,
      out: expect.stringMatching(new RegExp(`tests ${tests}\n[\\s\\S]*pass ${tests}\n`)),
    })
})

test('plugin test says how to write what Node cannot run, with its place; a throw keeps its stack', async () => {
  const importing = "import './plugin.ts'\n"
  const directory = folderWith({
    'enum/plugin.ts': '\nenum Color { red }\n',
    'enum/a.test.ts': importing,
    'field/plugin.ts': 'export class A {\n  constructor(private a: number) {}\n}\n',
    'field/a.test.ts': importing,
    'open/a.test.ts': 'export default {\n',
    'throws/plugin.ts': "\nthrow new Error('boom')\n",
    'throws/a.test.ts': importing,
  })
  const tested = (place: string) => runCli(['plugin', 'test', place], { directory })
  for (const [place, words] of [
    [
      'enum',
      /MR_PLUGIN_LOAD enum\/a\.test\.ts cannot be loaded: .*enum.*as const\n *enum\/plugin\.ts:2\n *enum Color/,
    ],
    ['field', /cannot be loaded: .*assign it in the constructor\n *field\/plugin\.ts:2\n/],
    ['open', /cannot be loaded: syntax error: .*\n *open\/a\.test\.ts:\d\n/],
  ] as const) {
    const { status, out } = await tested(place)
    expect(status).toBe(1)
    expect(out).toMatch(words)
    expect(out).not.toMatch(/at .*node:internal/)
  }
  const { status, out } = await tested('throws')
  expect(status).toBe(1)
  expect(out).toMatch(/Error: boom\n\s+at file:\S+plugin\.ts:2:/)
})

test('plugin test says when there is no test', async () => {
  const directory = folderWith({ 'a/a.ts': '' })
  for (const [place, words] of [
    ['a', /no test in .*a: expected a file such as my-plugin\.test\.ts/],
    ['a/a.ts', /expected .*a\.test\.ts beside it/],
    ['nowhere', /there is no .*nowhere/],
  ] as const)
    expect(await callCli(['plugin', 'test', place], { directory })).toMatchObject({
      status: 2,
      err: expect.stringMatching(words),
    })
})

const tenant = `
  import { definePlugin, duration, z } from 'millrace'
  export default definePlugin({
    api: 1, kind: 'filter', name: 'NAME', description: 'For tenants.',
    options: z.strictObject({
      header: z.string().describe('Where the tenant stands'),
      mode: z.enum(['strict', 'lax']).default('lax'),
      after: duration.prefault('5s'),
    }),
    create: () => ({}),
  })`

test('plugin list: kind, name, version, source, description and options, of what a config can use', async () => {
  const directory = folderWith({
    'lb.yaml': `
plugins: [./tenant.ts, "@acme/gate"]
listeners: { web: { address: "127.0.0.1:0" } }
routes: [{ service: shop }]
services: { shop: { backends: ["http://127.0.0.1:9001"] } }\n`,
    'tenant.ts': tenant.replace('NAME', 'tenant'),
    'node_modules/@acme/gate/package.json':
      '{ "name": "@acme/gate", "version": "2.3.4", "exports": "./lib/index.js", "type": "module" }',
    'node_modules/@acme/gate/lib/index.js': tenant.replace('NAME', 'gate'),
  })
  const { status, out, err } = await runCli(['plugin', 'list', '-c', 'lb.yaml'], { directory })
  expect({ status, err }).toEqual({ status: 0, err: '' })
  expect(out).toMatch(/^KIND +NAME +VERSION +SOURCE +DESCRIPTION\n/)
  expect(out).toMatch(/^filter +tenant +- +path \.\/tenant\.ts +For tenants\.$/m)
  expect(out).toMatch(
    /^filter +gate +2\.3\.4 +package @acme\/gate +For tenants\.\n {2}header +string +required +Where the tenant stands\n {2}mode +"strict" \| "lax" += "lax"\n {2}after +string += "5s"$/m,
  )
  const own = await callCli(['plugin', 'list', '--json'], { directory })
  const rows = JSON.parse(own.out) as { name: string; source: string; options: { name: string }[] }[]
  expect(rows.every(({ source }) => source === 'built-in')).toBe(true)
  expect(rows.find(({ name }) => name === 'maglev')).toMatchObject({
    kind: 'algorithm',
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    options: [
      {
        name: 'tableSize',
        type: 'integer',
        default: 65537,
        required: false,
        description: expect.any(String),
      },
    ],
  })
})

test('plugin list takes the config of the folder, and shows one kind alone', async () => {
  const directory = folderWith({
    'millrace.yaml': 'plugins: [./tenant.ts]\nlisteners: { web: { address: "127.0.0.1:0" } }\n',
    'tenant.ts': tenant.replace('NAME', 'tenant'),
  })
  const list = (...args: string[]) => callCli(['plugin', 'list', ...args], { directory })
  expect((await list()).out).toMatch(/^filter +tenant /m)
  const breakers = (await list('--kind', 'circuit-breaker')).out
  const rows = [...breakers.matchAll(/^(?!KIND)(\S+) +(\S+)/gm)].map(([, kind, name]) => `${kind} ${name}`)
  expect(rows.sort()).toEqual(
    ['adaptive-concurrency', 'consecutive-errors', 'error-rate', 'latency'].map(
      (name) => `circuit-breaker ${name}`,
    ),
  )
  expect(breakers).toMatch(/^ {2}minRequests +integer +(?:= 20) +Fewer than these/m)
  expect(await list('--kind', 'breaker')).toMatchObject({
    status: 2,
    err: expect.stringContaining('no plugin kind "breaker" — did you mean "circuit-breaker"?'),
  })
})
