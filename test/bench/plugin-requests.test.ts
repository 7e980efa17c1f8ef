/** With what requests `bench plugin` measures, and what it says where a plugin answers them otherwise. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chooseRequests, readSettings } from '../../bench/plugin/requests.ts'
import { findTarget } from '../../bench/plugin/target.ts'
import { folderWith, runCli } from '../cli/run-cli.ts'

/** Asks for `x-tenant`, or answers 401. */
const gate = `import { definePlugin, z } from 'millrace'
export default definePlugin({
  api: 1, kind: 'filter', name: 'gate', options: z.strictObject({ deep: z.int().default(1) }),
  create: () => ({
    onRequest(exchange) {
      if (!exchange.request.headers.has('x-tenant')) exchange.respond({ status: 401, body: 'who are you\\n' })
    },
  }),
})
`

const find = (directory: string, plugin: string, more: object = {}) =>
  findTarget({ plugin, directory, options: undefined, config: undefined, ...more })

describe('headers and status', () => {
  const settings = 'options: { deep: 3 }\nheaders: { x-tenant: acme, X-Level: 5 }\nexpect: 204\n'

  test('stand once, in a file beside the plugin, with its options', async () => {
    const directory = folderWith({ 'gate.ts': gate, 'gate.bench.yaml': settings })
    expect(await find(directory, 'gate.ts')).toMatchObject({
      options: { deep: 3 },
      requests: { headers: { 'x-tenant': 'acme', 'X-Level': '5' }, expect: 204 },
    })
  })

  test('of the command line go before those of the file, name by name', async () => {
    const directory = folderWith({ 'gate.ts': gate, 'gate.bench.yaml': settings })
    const headers = ['x-level: 6', 'authorization: Bearer a:b']
    expect(await find(directory, 'gate.ts', { options: '{"deep":4}', headers, expect: '401' })).toMatchObject(
      {
        options: { deep: 4 },
        requests: {
          headers: { 'x-tenant': 'acme', 'x-level': '6', authorization: 'Bearer a:b' },
          expect: 401,
        },
      },
    )
  })

  test('are none where nobody gives any', async () => {
    const { requests } = await find(folderWith({ 'gate.ts': gate, 'gate.bench.yaml': '' }), './gate.ts')
    expect(requests).toEqual({ headers: {} })
    expect((await find(folderWith({}), 'headers')).requests).toEqual({ headers: {} })
  })

  test.each<[string, object, RegExp]>([
    ['no header', { headers: ['x-tenant'] }, /^--header: 'name: value' expected, not "x-tenant"$/],
    ['no name', { headers: [': a'] }, /'name: value' expected/],
    ['a name that is none', { headers: ['x tenant: a'] }, /"x tenant" is no name of a header/],
    ['two lines', { headers: ['x-a: b\r\nx-c: d'] }, /the value of x-a holds a character/],
    ['framing', { headers: ['Content-Length: 3'] }, /Content-Length belongs to whoever sends/],
    ['no status', { expect: 'many' }, /--expect: a status from 200 to 599 expected, not "many"/],
    ['no final status', { expect: '100' }, /not "100"/],
  ])('%s: said by name', (_what, written, message) => {
    expect(() => chooseRequests(written, { file: undefined })).toThrow(message)
  })

  test.each([
    ['hedaers: {}', /gate\.bench\.yaml: unknown key "hedaers" — did you mean "headers"\?/],
    ['expect: none', /gate\.bench\.yaml: expect: expected a number, not a string/],
    ['headers: { Connection: close }', /gate\.bench\.yaml: headers: Connection belongs to/],
    ['headers: [', /gate\.bench\.yaml is no YAML/],
    ['options: { deep: x }', /at .*gate\.bench\.yaml: deep: expected a number, not a string/],
  ])('a file that says %s is refused', async (text, message) => {
    const directory = folderWith({ 'gate.ts': gate, 'gate.bench.yaml': text })
    await expect(find(directory, './gate.ts')).rejects.toThrow(message)
  })

  test('a file of settings is looked for beside files alone', () => {
    expect(readSettings(undefined)).toEqual({ file: undefined })
  })
})

describe('a folder', () => {
  const other = gate.replace("name: 'gate'", "name: 'other'")

  test.each<[string, Record<string, string>, string]>([
    ['its file of the same name', { 'gate/gate.ts': gate, 'gate/helper.ts': '' }, 'gate'],
    ['its only file', { 'gate/my.ts': gate, 'gate/my.test.ts': '', 'gate/my.d.ts': '' }, 'gate'],
    ['its index', { 'gate/index.ts': gate, 'gate/helper.ts': '' }, 'gate'],
    ['beside a built-in of its name, by its path', { 'headers/index.ts': other }, 'other'],
  ])('stands for %s', async (_what, files, name) => {
    const directory = folderWith(files)
    const [folder] = Object.keys(files)[0].split('/')
    for (const written of [`./${folder}`, `${folder}/`, join(directory, folder)])
      expect((await find(directory, written)).name).toBe(name)
  })

  test('in which the plugin cannot be told is named, with what it holds', async () => {
    const directory = folderWith({ 'a/one.ts': gate, 'a/two.ts': other, 'b/README.md': '' })
    await expect(find(directory, 'a')).rejects.toThrow(
      /a is a folder with one\.ts, two\.ts.*name the file, such as .*one\.ts/,
    )
    await expect(find(directory, './b')).rejects.toThrow(/b is a folder with no plugin file: name the file/)
  })
})

interface PluginFile {
  readonly target: { readonly requests: object }
  readonly hooks: { readonly rows: readonly { readonly name: string }[] }
  readonly added: { readonly judgement: string; readonly sentence: string }
}

const resultOf = (directory: string, name: string): PluginFile =>
  JSON.parse(readFileSync(join(directory, `bench-results/plugin-${name}/plugin.json`), 'utf8')) as PluginFile

test('where a filter answers itself that is said with what to do, and what its hooks cost is kept', {
  timeout: 120_000,
}, async () => {
  const directory = folderWith({ 'gate.ts': gate })
  const { status, out } = await runCli(['bench', 'plugin', 'gate.ts', '--quick'], { directory })
  const sentence =
    "not measured in requests: with gate they are answered with 401 (who are you), not with 200; send what it asks for (--header 'name: value'); " +
    'or have that answer measured (--expect 401); either may stand in gate.bench.yaml beside it'
  // Before anything is measured, and at the end.
  expect(out.indexOf(sentence)).toBeLessThan(out.indexOf('Hooks by themselves'))
  expect(out.trimEnd().endsWith(sentence)).toBe(true)
  expect(out).toMatch(/^onRequest +\d/m)
  expect(status).toBe(3)
  const { hooks, added } = resultOf(directory, 'gate')
  expect(hooks.rows.map(({ name }) => name)).toEqual(['onRequest'])
  expect(added).toEqual({ judgement: 'unusable', sentence })
})

test('a throw is told with its reason and its line, also where its very status is waited for', {
  timeout: 120_000,
}, async () => {
  const throwing = gate.replace(
    'if (!exchange',
    "if (exchange.request.host !== '') throw new Error('no tenants')\n      if (!exchange",
  )
  const directory = folderWith({ 'gate.ts': throwing })
  const measured = (...args: string[]) =>
    runCli(['bench', 'plugin', 'gate.ts', '--quick', ...args], { directory })
  const reason = 'filter gate failed in onRequest: Error: no tenants (at gate.ts:6)'
  const answered =
    'not measured in requests: with gate they are answered with 500 (MR_PLUGIN_FAULT: A plugin threw, or did what it must not)'
  for (const [expected, words] of [
    ['500', 'which is a fault, and no answer of its own'],
    ['401', 'not with 401'],
  ]) {
    const { status, out } = await measured('--expect', expected)
    expect(out.trimEnd().endsWith(`${answered}, ${words}; ${reason}`)).toBe(true)
    expect(status).toBe(3)
  }
})

test('the filter of `plugin new` is measured as it was written, with the headers that stand beside it', {
  timeout: 120_000,
}, async () => {
  const directory = folderWith({})
  await runCli(['plugin', 'new', 'filter', 'gate'], { directory })
  const { status, out } = await runCli(['bench', 'plugin', 'gate', '--quick', '--rounds', '1'], { directory })
  expect(out).toMatch(/^gate, filter, .* x-tenant in each request/)
  expect(out).not.toMatch(/answers the request itself|thrown out|not measured/)
  // Two blocks are no verdict.
  expect(out.trimEnd()).toMatch(/too noisy to say what it costs: 1 block of each arm count, 8 are needed$/)
  expect(status).toBe(2)
  // Headers may be secrets.
  expect(resultOf(directory, 'gate').target.requests).toEqual({ headers: ['x-tenant'] })
  const results = readFileSync(join(directory, 'bench-results/plugin-gate/results.json'), 'utf8')
  expect(results).not.toContain('acme')
})

test('an answer of its own is measured where it is expected', { timeout: 120_000 }, async () => {
  const directory = folderWith({ 'gate.ts': gate })
  writeFileSync(join(directory, 'gate.bench.yaml'), 'expect: 401\n')
  const { status, out } = await runCli(['bench', 'plugin', '.', '--quick', '--rounds', '1'], { directory })
  expect(out).not.toMatch(/thrown out|not measured/)
  expect(status).toBe(2)
})
