/** `millrace check` is right when the config can start: it makes what data threads would make. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { callCli } from './call-cli.ts'
import { folderWith, runCli } from './run-cli.ts'

const rest = `
listeners: { web: { address: "127.0.0.1:0" } }
routes: [{ service: shop }]
services: { shop: { backends: ["http://127.0.0.1:9001", "http://127.0.0.1:9002"] } }
`

/** A plugin whose `create` stands in a line of its own, the third. */
const plugin = (name: string, create: string, kind = 'filter', more = ''): string =>
  `import { definePlugin, z } from 'millrace'
export default definePlugin({ api: 1, kind: '${kind}', name: '${name}', options: z.looseObject({}), create(context, options) {
  ${create}
}, ${more} })\n`

const check = (directory: string, file = 'lb.yaml') => callCli(['check', file], { directory })

test('a plugin that cannot be made is a problem of the config, each at its place, with the line that threw', async () => {
  const directory = folderWith({
    'plugins/gate.ts': plugin(
      'gate',
      "if (options.door !== 'front') throw new Error('no such door'); return {}",
    ),
    'plugins/shape.ts': plugin('shape', 'return { onReponse() {} }'),
    'lb.yaml': `plugins: [./plugins/gate.ts, ./plugins/shape.ts]
filters: [{ use: gate, door: front }, { use: gate, door: back }]
${rest.replace('{ service: shop }', '{ service: shop, filters: [shape, { use: gate }] }')}`,
  })
  const { status, out, err } = await check(directory)
  expect({ status, out }).toEqual({ status: 2, out: '' })
  expect(err).toMatch(
    /lb\.yaml:2:39 MR_PLUGIN_CREATE filters\[1\]: The filter "gate" \(filter\/gate-2\): create threw: plugins\/gate\.ts:3: no such door/,
  )
  expect(err).toMatch(/lb\.yaml:5:\d+ MR_PLUGIN_SHAPE routes\[0\]\.filters\[0\]: .*did you mean "onResponse"/)
  expect(err).toMatch(/lb\.yaml:5:\d+ MR_PLUGIN_CREATE routes\[0\]\.filters\[1\]: /)
  expect(err).toContain('3 problems')
})

test('an algorithm that cannot take the backends is found, with the place', async () => {
  const directory = folderWith({
    'row.ts': plugin('row', "return { update() { throw new Error('boom') }, pick() {} }", 'algorithm'),
    'lb.yaml': `plugins: [./row.ts]\n${rest.replace('{ backends', '{ algorithm: row, backends')}`,
  })
  const { status, err } = await check(directory)
  expect(status).toBe(2)
  expect(err).toMatch(/MR_PLUGIN_FAULT services\.shop\.algorithm: .*update threw: row\.ts:\d+: boom/)
})

test('a table that cannot be built, and what built-in plugins need, are found too', async () => {
  const table = "buildTable(members) { throw new Error(members.map(({ url }) => url).join(' and ')) }"
  const directory = folderWith({
    'row.ts': plugin('row', 'return { update() {}, pick() {} }', 'algorithm', table),
    users: '# nobody yet\n',
    'lb.yaml': `plugins: [./row.ts]
filters: [{ use: basic-auth, file: ./users }, { use: basic-auth, file: ./people }]
${rest.replace('{ backends', '{ algorithm: row, backends')}`,
  })
  const { status, err } = await runCli(['check', `${directory}/lb.yaml`])
  expect(status).toBe(2)
  expect(err).toMatch(
    /MR_PLUGIN_FAULT .*"row": buildTable threw: http:\/\/127\.0\.0\.1:9001 and http:\S+:9002/,
  )
  expect(err).toMatch(/lb\.yaml:2:\d+ MR_PLUGIN_CREATE filters\[1\]: .*ENOENT.*people/)
  expect(err).toContain('2 problems')
})

test('a plugin that ends its thread is named, and the others are still made', async () => {
  const directory = folderWith({
    'bomb.ts': plugin(
      'bomb',
      "setTimeout(() => { throw new Error('boom') }, 0); return new Promise(() => {})",
    ),
    'gate.ts': plugin('gate', "throw new Error('no such door')"),
    'lb.yaml': `plugins: [./bomb.ts, ./gate.ts]\nfilters: [bomb, gate]\n${rest}`,
  })
  const { status, err } = await check(directory)
  expect(status).toBe(2)
  expect(err).toMatch(
    /MR_PLUGIN_CREATE filters\[0\]: The filter "bomb" .*ended the thread that tried it: boom/,
  )
  expect(err).toMatch(/MR_PLUGIN_CREATE filters\[1\]: .*no such door/)
})

test('it reaches out to nobody: no key server, and no health source or store is made', async () => {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const connecting = `const { connect } = await import('node:net'); connect(${port}, '127.0.0.1'); throw new Error('made')`
  const directory = folderWith({
    'probe.ts': plugin('probe', connecting, 'health-source').replace('create(', 'async create('),
    'lb.yaml': `plugins: [./probe.ts]
filters: [{ use: jwt, jwks: "http://127.0.0.1:${port}/keys" }]
${rest.replace('{ backends', '{ health: probe, backends')}`,
    'store.yaml': `listeners: { web: { address: "127.0.0.1:0" } }\nstore: { use: redis, url: "redis://127.0.0.1:${port}" }\n`,
  })
  expect(await check(directory)).toMatchObject({ status: 0, err: '' })
  expect(await check(directory, 'store.yaml')).toMatchObject({ status: 0, err: '' })
  expect(connections).toBe(0)
  expect((await callCli(['check', '--help'])).out).toMatch(/health\s+sources,\s+stores\s+and\s+syncs/)
})

test('one plugin that does not load hides no other mistake, and what uses it is none', async () => {
  const directory = folderWith({
    'gate.ts':
      "import { definePlugin } from 'millrace'\n\nexport default definePlugin({ name: 'door', kind: 'filter'\n",
    'lb.yaml': `plugins: [./gate.ts, ./gone.ts]
filters: [door, gate, gone]
listeners: { web: { address: "127.0.0.1:0" } }
routes: [{ service: shpo }]
services: { shop: { backends: [], algorithm: round-robbin, timeouts: { conect: 1s } } }\n`,
  })
  const { status, err } = await check(directory)
  expect(status).toBe(2)
  expect(err).toMatch(
    /lb\.yaml:1:11 MR_PLUGIN_LOAD plugins\[0\]: Plugin \.\/gate\.ts: syntax error: .*\ngate\.ts:\d\n.*\n/,
  )
  expect(err).toMatch(/lb\.yaml:1:22 MR_CONFIG_FILE plugins\[1\]: there is no plugin file "\.\/gone\.ts"/)
  expect(err).toMatch(/MR_CONFIG_REFERENCE .*shpo.*"shop"/)
  expect(err).toMatch(/MR_PLUGIN_UNKNOWN .*round-robbin.*"round-robin"/)
  expect(err).toMatch(/MR_CONFIG_UNKNOWN_KEY .*conect.*"connect"/)
  expect(err).toContain('5 problems')
  expect(err).not.toMatch(/^ {4}at /m)
})
