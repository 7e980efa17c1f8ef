import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { callCli } from './call-cli.ts'
import { folderWith, runCli } from './run-cli.ts'

const good = `
listeners: { web: { address: "127.0.0.1:0" } }
routes: [{ service: shop }]
services: { shop: { backends: ["http://127.0.0.1:9001", "http://127.0.0.1:9002"] } }
`

test('an older Node gets one clear sentence and exit status 2', async () => {
  const older = `data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'20.20.2'}})`
  const { status, err } = await runCli(['check'], { node: ['--import', older] })
  expect(status).toBe(2)
  expect(err).toMatch(/^millrace: .*needs Node\.js 24 or newer; this is v\S+ \(.*\)\n$/)
})

test('--version prints the version of the package', async () => {
  const text = readFileSync(path.resolve(import.meta.dirname, '../../package.json'), 'utf8')
  const { status, out } = await runCli(['--version'])
  expect({ status, out }).toEqual({
    status: 0,
    out: `${(JSON.parse(text) as { version: string }).version}\n`,
  })
})

test('--help names every verb', async () => {
  const { status, out } = await callCli(['--help'])
  expect(status).toBe(0)
  for (const verb of ['up', 'lb', 'check', 'schema', 'explain', 'plugin', 'breaker'])
    expect(out).toMatch(new RegExp(`^  ${verb}\\b`, 'm'))
})

test('a wrong command line ends with status 2', async () => {
  expect(await runCli(['chekc'])).toMatchObject({ status: 2, err: expect.stringContaining("'chekc'") })
  expect(await callCli(['up', '--port', '70000'])).toMatchObject({
    status: 2,
    err: expect.stringContaining('65535'),
  })
  expect(await callCli(['up', '-c', 'a.yaml', '--port', '1'])).toMatchObject({ status: 2 })
  expect(await callCli(['check', 'a.yaml', '-c', 'b.yaml'])).toMatchObject({
    status: 2,
    err: 'millrace: the config file is named twice\n',
  })
})

test('check says what a right file holds', async () => {
  const directory = folderWith({ 'lb.yaml': good })
  expect(await runCli(['check', 'lb.yaml'], { directory })).toEqual({
    status: 0,
    out: 'lb.yaml: ok (1 listener, 1 route, 1 service, 2 backends, 0 plugin files)\n',
    err: '',
  })
})

test('check finds millrace.yaml in the working directory, and says so when there is none', async () => {
  const directory = folderWith({ 'millrace.yaml': good })
  expect(await runCli(['check'], { directory })).toMatchObject({ status: 0 })
  const none = await callCli(['check'], { directory: folderWith({}) })
  expect(none).toMatchObject({ status: 2, err: expect.stringContaining('no config file') })
})

test('check names three mistakes at once, each with line and column, and ends with status 2', async () => {
  const directory = folderWith({
    'bad.yaml': [
      'listeners: { web: { address: "127.0.0.1:8080" } }',
      'routes: [{ service: shpo }]',
      'services:',
      '  shop:',
      '    algorithm: round-robbin',
      '    backends: ["http://127.0.0.1:9001"]',
      '    timeouts: { conect: 1s }',
    ].join('\n'),
  })
  const { status, out, err } = await callCli(['check', 'bad.yaml'], { directory })
  expect({ status, out }).toEqual({ status: 2, out: '' })
  expect(err).toMatch(/bad\.yaml:2:21 MR_CONFIG_REFERENCE .*shpo.*"shop"/)
  expect(err).toMatch(/bad\.yaml:5:16 MR_PLUGIN_UNKNOWN .*round-robbin.*"round-robin"/)
  expect(err).toMatch(/bad\.yaml:7:17 MR_CONFIG_UNKNOWN_KEY .*conect.*"connect"/)
  expect(err).toContain('3 problems')
  expect(err).toContain('> 5 |     algorithm: round-robbin\n    |                ^^^^^^^^^^^^')
})

test('check loads plugins and checks their options', async () => {
  const plugin = `
    import { definePlugin, z } from 'millrace'
    export default definePlugin({
      api: 1, kind: 'filter', name: 'tenant', options: z.strictObject({ header: z.string() }),
      create: () => ({}),
    })`
  const config = (options: string): string =>
    `plugins: [./tenant.ts]\nfilters: [{ use: tenant, ${options} }]\n${good}`
  const directory = folderWith({
    'tenant.ts': plugin,
    'right.yaml': config('header: x-tenant'),
    'wrong.yaml': config('heder: x-tenant'),
  })
  expect(await callCli(['check', 'right.yaml'], { directory })).toMatchObject({ status: 0, err: '' })
  const wrong = await callCli(['check', 'wrong.yaml'], { directory })
  expect(wrong.status).toBe(2)
  expect(wrong.err).toMatch(/wrong\.yaml:2:\d+ .*heder.*"header"/)
})

test('a plugin that cannot be loaded is named, with status 2 and no stack', async () => {
  const directory = folderWith({ 'a.yaml': `plugins: [./a.ts]\n${good}`, 'a.ts': 'export default { api: 1' })
  const { status, err } = await runCli(['check', 'a.yaml'], { directory })
  expect(status).toBe(2)
  expect(err).toMatch(/MR_PLUGIN_LOAD .*a\.ts/)
  expect(err).not.toMatch(/^ {4}at /m)
})

test('schema is JSON Schema with the options of the loaded plugins', async () => {
  const directory = folderWith({
    'a.yaml': `plugins: [./a.ts]\n${good}`,
    'a.ts': `import { definePlugin, z } from 'millrace'
      export default definePlugin({ api: 1, kind: 'filter', name: 'own-filter',
        options: z.strictObject({ colour: z.enum(['red']) }), create: () => ({}) })`,
  })
  const { status, out, err } = await runCli(['schema', '-c', 'a.yaml'], { directory })
  expect({ status, err }).toEqual({ status: 0, err: '' })
  expect(Object.keys((JSON.parse(out) as { properties: object }).properties)).toContain('services')
  expect(out).toContain('"own-filter"')
  expect(out).toContain('"colour"')
  const own = (await callCli(['schema'])).out
  expect(own).not.toContain('own-filter')
  expect(own).toContain('"description": "Share of failures in the window that opens it"')
})

test('schema warns of a plugin whose schema library has no JSON Schema', async () => {
  const directory = folderWith({
    'a.yaml': `plugins: [./a.ts]\n${good}`,
    'a.ts': `const options = { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } }
      export default { api: 1, kind: 'filter', name: 'open', options, create: () => ({}) }`,
  })
  const { status, err } = await runCli(['schema', '-c', 'a.yaml'], { directory })
  expect(status).toBe(0)
  expect(err).toMatch(/^warning: .*filter open has no JSON Schema/)
})
