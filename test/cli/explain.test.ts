import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { durationText, effectiveConfig, sizeText } from '../../cli/effective.ts'
import { loadWithPlugins } from '../../cli/load.ts'
import { callCli } from './call-cli.ts'
import { folderWith, runCli } from './run-cli.ts'

const config = `
admin: { address: "127.0.0.1:9901" }
listeners:
  web: { address: "127.0.0.1:8080" }
  inside: { address: "[::1]:8081", proxyProtocol: true, routes: [{ service: shop }] }
  local: { address: unix:/run/millrace/lb.sock }
trustedProxies: [10.0.0.0/8]
accessLog: { path: ./access.log }
limits: { bodyMinRate: 0, connections: 17 }
filters: [request-id]
routes:
  - { match: { host: shop.example.com, path: /api }, service: api, filters: [{ use: headers, request: { set: { x-api: "1" } } }] }
  - { match: { host: "*.example.com", method: [GET, HEAD] }, service: shop }
  - { name: canary, match: { headers: { x-canary: true, x-kind: a } }, service: [{ service: shop, weight: 9 }, { service: api }] }
services:
  api:
    algorithm: least-connections
    backends: [{ url: "http://127.0.0.1:9001", weight: 3, zone: a, tags: [big], priority: 1 }, unix:/run/app.sock]
    loadBound: 1.25
    slowStart: 30s
    health: { use: http-probe, path: /health, interval: 1500ms, initial: down }
    breaker: off
    retries: { attempts: 2, budget: 12.5%, bodyBuffer: 1000, on: [502, 503] }
    connections: { pipelining: 4 }
    key: header:x-user
    host: backend
  shop: { algorithm: maglev, backends: ["https://[::1]:9003"], host: shop.internal, key: cookie:sid, tls: { verify: false } }
`

describe('effective config', () => {
  test('read again it is the same config: nothing is lost or invented', async () => {
    const source = { text: config, name: 'a.yaml', directory: '/srv/millrace' }
    const first = (await loadWithPlugins(source, {})).config
    const effective = effectiveConfig(first)
    const again = { text: JSON.stringify(effective), name: 'b.json', directory: '/srv/millrace' }
    const second = (await loadWithPlugins(again, {})).config
    expect(second.bootstrap).toEqual(first.bootstrap)
    expect(second.snapshot).toEqual(first.snapshot)
  })

  test.each([
    [0, '0s'],
    [1, '1ms'],
    [1500, '1500ms'],
    [90_000, '90s'],
    [120_000, '2m'],
    [7_200_000, '2h'],
  ])('%d ms are written %s', (ms, text) => expect(durationText(ms)).toBe(text))

  test.each([
    [0, '0B'],
    [1000, '1000B'],
    [16_384, '16KiB'],
    [2 ** 21, '2MiB'],
  ])('%d bytes are written %s', (bytes, text) => expect(sizeText(bytes)).toBe(text))
})

describe('explain', () => {
  const explain = (...args: string[]) =>
    callCli(['explain', '-c', 'lb.yaml', ...args], { directory: folderWith({ 'lb.yaml': config }) })

  test('prints YAML with the defaults filled in, and the plugin tree', async () => {
    const place = { directory: folderWith({ 'lb.yaml': config }) }
    const { status, out } = await runCli(['explain', '-c', 'lb.yaml'], place)
    expect(status).toBe(0)
    expect(parse(out)).toMatchObject({
      services: { api: { timeouts: { connect: '1s' } } },
      limits: { head: '16KiB' },
    })
    expect(out).toMatch(/^# ├─ filter request-id \(built-in\), create [\d.]+ ms$/m)
    expect(out).toMatch(/filter headers .*\n# │ {5}└─ request: \{"set":\{"x-api":"1"\}\}$/m)
    expect(out).toMatch(/^# │ {2}├─ algorithm least-connections \(built-in\), create [\d.]+ ms$/m)
    expect(out).toMatch(/^# │ {2}└─ health-source http-probe \(built-in, main thread\), create [\d.]+ ms$/m)
    expect(out).toMatch(/algorithm maglev \(built-in\), create [\d.]+ ms, table [\d.]+ ms$/m)
  })

  test('prints the defaults of plugins too; what is set stays, and the whole reads again', async () => {
    const { out } = await explain()
    const printed = parse(out)
    expect(printed.services.api.health).toMatchObject({ path: '/health', method: 'GET', interval: '1500ms' })
    expect(printed.services.shop.breaker).toMatchObject({ use: 'error-rate', window: '10s', minRequests: 20 })
    const again = folderWith({ 'lb.yaml': out })
    expect(await callCli(['check', 'lb.yaml'], { directory: again })).toMatchObject({ status: 0 })
    expect((await callCli(['explain', '-c', 'lb.yaml'], { directory: again })).out).toContain(
      out.slice(out.indexOf('\nlimits:'), out.indexOf('\n# Plugins')),
    )
  })

  test('shows no secret: not by name, not from the environment into a plugin, not a key', async () => {
    const secret = `
listeners: { web: { address: "127.0.0.1:8080" } }
routes: [{ service: a, match: { headers: { authorization: Basic bWU6aHVudGVyMg== } } }]
services:
  a:
    backends: ["http://127.0.0.1:\${PORT_OF_A}"]
    breaker: { use: error-rate, fallback: { status: 503, headers: { x-word: "\${UPSTREAM_WORD}", x-token: plain-key-1 } } }
    filters:
      - { use: headers, request: { set: { x-upstream: "by \${UPSTREAM_WORD}", x-api-key: plain-key-1, x-kind: shown } } }
`
    const place = {
      directory: folderWith({ 'lb.yaml': secret }),
      env: { UPSTREAM_WORD: 'swordfish', PORT_OF_A: '9001' },
    }
    const { out, err, status } = await callCli(['explain', '-c', 'lb.yaml'], place)
    expect([status, err]).toEqual([0, ''])
    expect(out).not.toMatch(/swordfish|plain-key-1|bWU6aHVudGVyMg/)
    expect(out).toContain('x-upstream: by $' + '{UPSTREAM_WORD}')
    expect(out).toContain('x-api-key: (hidden)')
    expect(out).toContain('x-kind: shown')
    expect(out).toContain('http://127.0.0.1:9001')
    const header = 'authorization: Basic bWU6aHVudGVyMg=='
    const route = await callCli(['explain', '-c', 'lb.yaml', '-H', header, 'GET', '/'], place)
    expect(route.out).toContain('(fallback {')
    expect(route.out).not.toMatch(/swordfish|plain-key-1/)
  })

  test('hides what the schema of a plugin calls secret, however deep; says how long its import took', async () => {
    const plugin = `
      import { definePlugin, z } from 'millrace'
      const secret = z.string().meta({ writeOnly: true })
      export default definePlugin({
        api: 1, kind: 'filter', name: 'gate',
        options: z.strictObject({
          pin: secret, door: z.string(), others: z.array(z.strictObject({ pin: secret, door: z.string() })), byUser: z.record(z.string(), secret),
          doors: z.record(z.string(), z.strictObject({ pin: secret, url: z.string() })),
        }),
        create(context) { if (context.id === 'filters/gate-2') throw new Error('no such door') ; return {} },
      })`
    const use = (door: string): string =>
      `{ use: gate, pin: "0817", door: ${door}, others: [{ pin: "0818", door: side }], byUser: { ann: "0819" }, doors: { a.b: { pin: "0816", url: "redis://x:y-0815@h/" } } }`
    const directory = folderWith({
      'gate.ts': plugin,
      'lb.yaml': `plugins: [./gate.ts]\nfilters: [${use('front')}, ${use('back')}]\n${config.replace('filters: [request-id]\n', '')}`,
    })
    const { status, out, err } = await runCli(['explain', '-c', 'lb.yaml'], { directory })
    expect([status, err]).toEqual([0, ''])
    expect(out).not.toMatch(/081[5-9]/)
    expect(out).toMatch(/^# ├─ filter gate \(\.\/gate\.ts\), import [\d.]+ ms, create [\d.]+ ms$/m)
    expect(out).toMatch(/import [\d.]+ ms, create failed: MR_PLUGIN_CREATE .*no such door.*, as gate-2$/m)
    expect(out).toContain('# │  ├─ pin: "(hidden)"\n# │  ├─ door: "front"\n')
    expect(parse(out).filters[0]).toMatchObject({
      pin: '(hidden)',
      door: 'front',
      others: [{ pin: '(hidden)', door: 'side' }],
      byUser: { ann: '(hidden)' },
      doors: { 'a.b': { pin: '(hidden)', url: 'redis://x:(hidden)@h/' } },
    })
  })

  test('shows what a breaker falls back to, and reads it again', async () => {
    const fallback = (text: string): string => `
listeners: { web: { address: "127.0.0.1:8080" } }
routes: [{ service: shop }]
services:
  shop: { backends: ["http://127.0.0.1:9001"], breaker: { use: error-rate, fallback: ${text} } }
  spare: { backends: ["http://127.0.0.1:9002"] }\n`
    for (const [written, read] of [
      ['{ service: spare }', { service: 'spare' }],
      [
        '{ status: 200, headers: { x-from: cache }, body: old }',
        { status: 200, headers: { 'x-from': 'cache' }, body: 'old' },
      ],
    ] as const) {
      const source = { text: fallback(written), name: 'a.yaml', directory: '/srv' }
      const first = (await loadWithPlugins(source, {})).config
      const effective = effectiveConfig(first)
      expect(effective).toMatchObject({ services: { shop: { breaker: { fallback: read } } } })
      const again = { text: JSON.stringify(effective), name: 'b.json', directory: '/srv' }
      expect((await loadWithPlugins(again, {})).config.snapshot).toEqual(first.snapshot)
    }
    const directory = folderWith({ 'lb.yaml': fallback('{ service: spare }') })
    expect((await callCli(['explain', '-c', 'lb.yaml'], { directory })).out).toContain(
      '└─ fallback: {"service":"spare"}\n',
    )
    expect((await callCli(['explain', '-c', 'lb.yaml', 'GET', '/'], { directory })).out).toContain(
      'breaker error-rate (fallback {"service":"spare"})',
    )
  })

  test.each([
    [
      'the longest path of the exact host',
      ['GET', 'http://shop.example.com/api/x?y=1'],
      'shop.example.com/api → api',
    ],
    ['a wildcard', ['GET', 'https://a.example.com:8443/'], '→ shop'],
    ['segment boundaries', ['GET', 'http://shop.example.com/apix'], '→ shop'],
    ['a header', ['-H', 'x-canary: 1', '-H', 'X-Kind:a', 'POST', '/'], 'canary → shop (90%), api (10%)'],
    ['none', ['POST', 'http://a.example.com/'], 'none: 404 MR_NO_ROUTE'],
  ])('names the route: %s', async (_what, args, expected) => {
    const { status, out } = await explain('--listener', 'web', ...args)
    expect(status).toBe(0)
    expect(out).toMatch(/^listener {2}web\nroute /)
    expect(out.split('\n')[1]).toContain(expected)
  })

  test('shows the chain of filters, the plugins and the backends of the service', async () => {
    const { out } = await explain('-l', 'web', 'GET', 'http://shop.example.com/api')
    expect(out).toContain('filters    request-id → headers\n')
    expect(out).toContain('algorithm  least-connections, breaker off, health http-probe\n')
    expect(out).toContain('balancing  load bound 1.25, slow start 30s, zones preferred, panic under 50%\n')
    expect(out).toContain('backend    http://127.0.0.1:9001 weight 3 zone a priority 1\n')
  })

  test('tells each listener apart', async () => {
    const { out } = await explain('GET', 'http://nowhere.test/')
    expect(out.split('\n\n').map((block) => block.split('\n')[1])).toEqual([
      expect.stringContaining('none'),
      expect.stringContaining('→ shop'),
      expect.stringContaining('none'),
    ])
  })

  test('a path is matched as it is written, without clean-up', async () => {
    const { out } = await explain('-l', 'web', 'GET', 'http://shop.example.com/x/../api')
    expect(out.split('\n')[1]).toContain('→ shop')
  })

  test('the port of a URL of this machine chooses the listener; one that nobody has is said so', async () => {
    const { out } = await explain('GET', 'http://127.0.0.1:8081/')
    expect(out.match(/^listener .*$/gm)).toEqual(['listener  inside'])
    for (const [args, words] of [
      [
        ['GET', 'http://localhost:9999/'],
        'no listener has the port 9999; there are: web (127.0.0.1:8080), inside ([::1]:8081)',
      ],
      [['GET', 'http://[::1]:9901/'], 'no listener has the port 9901: that is the admin listener'],
      [
        ['-l', '127.0.0.1:8080', 'GET', '/'],
        'takes the name of a listener, not its address: 127.0.0.1:8080 is -l web',
      ],
      [['-l', ':9901', 'GET', '/'], ':9901 is the admin listener'],
    ] as const)
      expect(await explain(...args)).toMatchObject({
        status: 2,
        out: '',
        err: expect.stringContaining(words),
      })
  })

  test('a listener or URL that is none is said so, with status 2', async () => {
    expect(await explain('-l', 'wbe', 'GET', '/')).toMatchObject({
      status: 2,
      err: expect.stringContaining('web'),
    })
    expect(await explain('GET', 'shop')).toMatchObject({
      status: 2,
      err: expect.stringContaining('expected a URL'),
    })
    expect(await explain('GET')).toMatchObject({ status: 2 })
  })
})
