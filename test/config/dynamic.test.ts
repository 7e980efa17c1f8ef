import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { checkDynamic } from '#core/config/dynamic'
import { decodeConfig, encodeConfig } from '#core/config/sync/value'
import { builtIn, PluginRegistry } from '#core/host/registry'
import { builtins } from '../../plugins/manifest.ts'
import { load, problemsIn } from './load-text.ts'

const registry = new PluginRegistry()
for (const definition of builtins) registry.add(builtIn(definition))
const plugins = registry.catalog()

const check = (data: unknown) => checkDynamic(data, 'config revision 3', plugins)
const problems = async (data: unknown) =>
  (await problemsIn(check(data))).map(({ code, path, message }) => ({ code, path, message }))

const whole = {
  filters: ['request-id'],
  routes: [{ match: { host: 'shop.example.com', path: '/api' }, service: 'api' }, { service: 'shop' }],
  services: {
    api: {
      algorithm: 'least-connections',
      backends: ['http://127.0.0.1:1', { url: 'http://127.0.0.1:2', weight: 3 }],
      health: { use: 'http-probe', interval: '3s', path: '/health' },
      breaker: { use: 'error-rate', threshold: '40%', fallback: { service: 'shop' } },
      timeouts: { connect: '1s' },
    },
    shop: { algorithm: 'maglev', backends: ['http://127.0.0.1:3'] },
  },
}

test('the dynamic half is what the same file would give', async () => {
  const file = { listeners: { web: { address: '127.0.0.1:0' } }, ...whole }
  const { snapshot } = await load(JSON.stringify(file), { plugins })
  const { filters, routes, services } = snapshot
  expect(await check(whole)).toEqual({ filters, routes, services })
})

test('empty is a config without routes', async () => {
  expect(await check({})).toEqual({ filters: [], routes: [], services: {} })
})

test('every problem is told, with its path: schema, references, plugins and their options', async () => {
  const found = await problems({
    filters: [{ use: 'request-idd' }],
    routes: [{ service: 'shopp' }],
    services: {
      shop: {
        algorithm: 'round-robin',
        backends: ['http://127.0.0.1:1'],
        breaker: { use: 'error-rate', thresold: '50%' },
        timeouts: { connect: 'soon' },
      },
    },
  })
  expect(found.map(({ code, path }) => `${code} ${path}`).sort()).toEqual([
    'MR_CONFIG_INVALID services.shop.timeouts.connect',
    'MR_CONFIG_REFERENCE routes[0].service',
    'MR_PLUGIN_OPTIONS services.shop.breaker.thresold',
    'MR_PLUGIN_UNKNOWN filters[0].use',
  ])
})

describe('config from a store', () => {
  test.each<[key: string, value: unknown]>([
    ['plugins', ['./evil.ts']],
    ['listeners', {}],
    ['store', 'memory'],
    ['node', {}],
    ['admin', false],
  ])('cannot set %s, which belongs to the file of the node', async (key, value) => {
    const [problem, ...others] = await problems({ ...whole, [key]: value })
    expect(others).toEqual([])
    expect(problem).toMatchObject({ code: 'MR_CONFIG_INVALID', path: key })
    expect(problem.message).toContain('belongs to the file of each node')
  })

  test.each([
    './evil.ts',
    '/tmp/evil.js',
    '../evil.mts',
    'file:///tmp/evil.ts',
    '@acme/evil',
    'acme/evil',
  ])('cannot name code: %s', async (use) => {
    const service = { backends: ['http://127.0.0.1:1'] }
    for (const data of [
      { filters: [{ use }] },
      { filters: [use] },
      { services: { a: { ...service, algorithm: use } } },
      { services: { a: { ...service, breaker: { use } } } },
      { services: { a: { ...service, health: { use } } } },
      { services: { a: service }, routes: [{ service: 'a', filters: [use] }] },
    ]) {
      const codes = (await problems(data)).map(({ code }) => code)
      expect(codes.length, JSON.stringify(data)).toBeGreaterThan(0)
      expect(codes.every((code) => code === 'MR_CONFIG_INVALID' || code === 'MR_PLUGIN_UNKNOWN')).toBe(true)
    }
  })

  test('cannot name files of the node', async () => {
    const tls = { ca: '/etc/passwd', key: './key.pem', cert: 'cert.pem' }
    const found = await problems({ services: { a: { backends: ['https://127.0.0.1:1'], tls } } })
    expect(found.map(({ path }) => path).sort()).toEqual([
      'services.a.tls.ca',
      'services.a.tls.cert',
      'services.a.tls.key',
    ])
  })

  test('is not expanded: the environment of a node is not its to read', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of the config
    const data = { services: { a: { backends: [{ url: 'http://127.0.0.1:1', zone: '${HOME}' }] } } }
    const { services } = await check(data)
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of the config
    expect(services.a.backends[0].zone).toBe('${HOME}')
  })

  test('is a map and nothing else', async () => {
    for (const data of [null, [], 'text', 3, true])
      expect((await problems(data)).map(({ path }) => path)).toEqual([''])
  })
})

describe('the value', () => {
  test('is packed, the same for the same data, and read back', () => {
    const value = encodeConfig(whole)
    expect(decodeConfig(value, 1)).toEqual(whole)
    expect(encodeConfig(Object.fromEntries(Object.entries(whole).reverse()))).toEqual(value)
  })

  test('10,000 backends fit', () => {
    const backends = Array.from(
      { length: 10_000 },
      (_, index) => `http://10.1.${index >> 8}.${index & 255}:8080`,
    )
    expect(encodeConfig({ services: { a: { backends } } }).byteLength).toBeLessThan(100_000)
  })

  test('is read as plain JSON too, and nothing of it is an empty config', () => {
    expect(decodeConfig(Buffer.from('{"filters":[]}'), 1)).toEqual({ filters: [] })
    expect([decodeConfig(null, 1), decodeConfig(new Uint8Array(), 1)]).toEqual([{}, {}])
  })

  test.each([
    ['no JSON', Buffer.from('{'), 1],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 1],
    ['packed and cut off', gzipSync('{"filters":[]}').subarray(0, 15), 1],
    ['a bomb', gzipSync(Buffer.alloc(70 * 1024 * 1024, 0x20)), 1],
    ['of a later schema', Buffer.from('{}'), 2],
  ])('%s is refused', (_what, value, schema) => {
    expect(() => decodeConfig(value, schema)).toThrow(expect.objectContaining({ code: 'MR_STORE_DATA' }))
  })
})
