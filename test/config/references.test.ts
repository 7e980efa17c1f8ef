import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { PluginCatalog } from '#core/config/catalog'
import type { PluginKind } from '#core/contracts/plugin'
import { MillraceError } from '#core/host/errors'
import { load, places, problemsOf, web } from './load-text.ts'

const services = 'services: { a: { backends: [] }, b: { backends: [] } }\n'

describe('services that routes name', () => {
  test('must exist, in plain routes, in splits and in routes of listeners', async () => {
    const text = `listeners:
  web:
    address: 127.0.0.1:1
    routes: [{ service: c }]
routes:
  - service: aa
  - { match: { path: /x }, service: [{ service: a }, { service: toString }] }
${services}`
    const problems = await problemsOf(text)
    expect(places(problems)).toEqual([
      'MR_CONFIG_REFERENCE 4:25 listeners.web.routes[0].service',
      'MR_CONFIG_REFERENCE 6:14 routes[0].service',
      'MR_CONFIG_REFERENCE 7:65 routes[1].service[1].service',
    ])
    expect(problems[2].suggestion).toBe('services are a, b')
  })

  test('exist even where the service itself is wrong', async () => {
    const problems = await problemsOf(`${web}routes: [{ service: a }]\nservices: { a: { backends: 5 } }\n`)
    expect(places(problems)).toEqual(['MR_CONFIG_INVALID 3:28 services.a.backends'])
  })

  test('stand once in a split', async () => {
    const text = `${web}routes: [{ service: [{ service: a }, { service: a }] }]\n${services}`
    expect(places(await problemsOf(text))).toEqual(['MR_CONFIG_DUPLICATE 2:49 routes[0].service[1].service'])
  })
})

describe('routes that match the same requests are refused', () => {
  const routes = (first: string, second: string) =>
    `${web}routes:\n  - { match: ${first}, service: a }\n  - { match: ${second}, service: b }\n${services}`

  test.each([
    ['{ host: A.com }', '{ host: a.com. }'],
    ['{}', '{ path: / }'],
    ['{ host: "*" }', '{}'],
    ['{ method: [GET, POST] }', '{ method: [POST, GET] }'],
    ['{ method: [GET, POST] }', '{ method: GET }'],
    ['{ headers: { X-A: "1", b: true } }', '{ headers: { b: true, x-a: "1" } }'],
  ])('%s and %s', async (first, second) => {
    const problems = await problemsOf(routes(first, second))
    expect(places(problems)).toEqual(['MR_CONFIG_DUPLICATE 4:14 routes[1].match'])
    expect(problems[0].message).toContain('routes[0]')
  })

  test.each([
    ['{ host: a.com }', '{ host: "*.a.com" }'],
    ['{ path: /a }', '{ path: /a/ }'],
    ['{ method: GET }', '{ method: POST }'],
    ['{ method: GET }', '{}'],
    ['{ headers: { a: "1" } }', '{ headers: { a: "2" } }'],
    ['{ headers: { a: "1" } }', '{ headers: { a: "1", b: true } }'],
  ])('but not %s and %s', async (first, second) => {
    const { snapshot, warnings } = await load(routes(first, second))
    expect(snapshot.routes).toHaveLength(2)
    expect(warnings).toEqual([])
  })

  test('and not those of another listener', async () => {
    const text = `listeners:
  x: { address: "a:1", routes: [{ service: a }] }
  y: { address: "a:2", routes: [{ service: a }] }
routes: [{ service: b }]
${services}`
    expect((await load(text)).snapshot.routes).toHaveLength(3)
  })

  test('while a request that can match two of them equally well is worth a warning', async () => {
    const { warnings } = await load(routes('{ headers: { a: true } }', '{ headers: { b: true } }'))
    expect(places(warnings)).toEqual(['MR_CONFIG_DUPLICATE 4:14 routes[1].match'])
  })

  test('and so is a name that stands twice', async () => {
    const text = `${web}routes:\n  - { name: n, match: { path: /a }, service: a }\n  - { name: n, service: b }\n${services}`
    expect(places(await problemsOf(text))).toEqual(['MR_CONFIG_DUPLICATE 4:13 routes[1].name'])
  })
})

describe('duplicates', () => {
  test('of a backend, however it is written', async () => {
    const text = `${web}services:
  a:
    backends:
      - http://A:80
      - { url: "http://a" }
      - https://a:80
`
    expect(places(await problemsOf(text))).toEqual(['MR_CONFIG_DUPLICATE 6:16 services.a.backends[1].url'])
  })

  test('of an address', async () => {
    const text = `admin: { address: "127.0.0.1:80" }
listeners:
  a: { address: "127.0.0.1:80" }
  b: { address: "127.0.0.1:0" }
  c: { address: "127.0.0.1:0" }
  d: { address: "unix:/a" }
  e: { address: "unix:/a" }
`
    const problems = await problemsOf(text)
    expect(problems.map(({ path }) => path)).toEqual(['admin.address', 'listeners.e.address'])
  })

  test('of the id of a filter in one list', async () => {
    const text = `${web}filters: [{ use: headers, id: x }, { use: headers, id: x }]\n`
    expect(places(await problemsOf(text))).toEqual(['MR_CONFIG_DUPLICATE 2:56 filters[1].id'])
  })

  test('of a key in a map', async () => {
    const text = `${web}services:\n  a: { backends: [] }\n  a: { backends: [] }\n`
    expect(places(await problemsOf(text))).toEqual(['MR_CONFIG_DUPLICATE 4:3 services.a'])
  })
})

const plugins: PluginCatalog = {
  names: (kind) => {
    const known: Partial<Record<PluginKind, string[]>> = {
      algorithm: ['round-robin', 'least-connections'],
      'circuit-breaker': ['error-rate'],
      'health-source': ['http-probe'],
      filter: ['headers'],
    }
    return known[kind] ?? []
  },
  validateOptions: (_kind, _name, options) =>
    Object.keys(options)
      .filter((key) => key !== 'good')
      .map((key) => ({
        message: `unknown key "${key}"`,
        path: [key],
        suggestion: key === 'god' ? 'good' : undefined,
      })),
  jsonSchema: () => undefined,
}

describe('plugins', () => {
  test('that are not loaded are named, with the one that was probably meant', async () => {
    const text = `${web}services:
  a:
    backends: []
    algorithm: least-conections
    breaker: { use: error-rat }
    health: probe
`
    const problems = await problemsOf(text, { plugins })
    expect(places(problems)).toEqual([
      'MR_PLUGIN_UNKNOWN 5:16 services.a.algorithm',
      'MR_PLUGIN_UNKNOWN 6:21 services.a.breaker.use',
      'MR_PLUGIN_UNKNOWN 7:13 services.a.health',
    ])
    expect(problems.map(({ suggestion }) => suggestion)).toEqual([
      'did you mean "least-connections"?',
      'did you mean "error-rate"?',
      'did you mean "http-probe"?',
    ])
  })

  test('whose file lies beside the config are told to name it, where nobody has', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    mkdirSync(join(directory, 'plugins'))
    mkdirSync(join(directory, 'gate'))
    for (const file of ['plugins/tenant.ts', 'own.mjs', 'gate/gate.ts', 'known.ts'])
      writeFileSync(join(directory, file), '')
    const text = `${web}plugins: [./known.ts]\nfilters: [tenant, { use: own }, gate, known, header]\n`
    const problems = await problemsOf(text, { plugins, directory })
    expect(problems.map(({ path, suggestion }) => `${path} ${suggestion}`)).toEqual([
      'filters[0] name its file under plugins: [./plugins/tenant.ts]',
      'filters[1].use name its file under plugins: [./own.mjs]',
      'filters[2] name its file under plugins: [./gate/gate.ts]',
      'filters[3] loaded are headers',
      'filters[4] did you mean "headers"?',
    ])
  })

  test('that could not be loaded are a problem by themselves, and no other mistake is hidden', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    writeFileSync(join(directory, 'gate.ts'), "export default { name: 'door', kind: 'filter'")
    const source = { specifier: './gate.ts', kind: 'path', location: join(directory, 'gate.ts') } as const
    const error = new MillraceError('MR_PLUGIN_LOAD', 'Plugin ./gate.ts: syntax error\ngate.ts:1\nexport')
    const text = `${web}plugins: [./gate.ts]
filters: [door, gate, elsewhere, heders, { use: headers, god: 1 }]
routes: [{ service: nowhere }]
`
    const failures = [{ source, error }]
    const problems = await problemsOf(text, { plugins, directory, failures })
    expect(places(problems)).toEqual([
      'MR_PLUGIN_LOAD 2:11 plugins[0]',
      'MR_PLUGIN_UNKNOWN 3:34 filters[3]',
      'MR_PLUGIN_OPTIONS 3:58 filters[4].god',
      'MR_CONFIG_REFERENCE 4:21 routes[0].service',
    ])
    expect(problems[0]).toMatchObject({ message: error.message, frame: '' })
  })

  test('of which one is missing on the disk hide no other mistake either', async () => {
    const text = `${web}plugins: [./gate.ts]\nfilters: [gate, heders]\n`
    expect(places(await problemsOf(text, { plugins }))).toEqual([
      'MR_CONFIG_FILE 2:11 plugins[0]',
      'MR_PLUGIN_UNKNOWN 3:17 filters[1]',
    ])
  })

  test('get their options checked, without the slot keys', async () => {
    const text = `${web}filters:
  - { use: headers, id: x, failOpen: true, good: 1 }
  - { use: headers, god: 1 }
services: { a: { backends: [], health: { use: http-probe, intervall: 1s } } }
`
    const problems = await problemsOf(text, { plugins })
    expect(places(problems)).toEqual([
      'MR_PLUGIN_OPTIONS 4:21 filters[1].god',
      'MR_PLUGIN_OPTIONS 5:59 services.a.health.intervall',
    ])
    expect(problems.map(({ suggestion }) => suggestion)).toEqual([
      'did you mean "good"?',
      'did you mean "interval"?',
    ])
  })

  test('that are the defaults need not be written, and off is no plugin', async () => {
    const text = `${web}services: { a: { backends: [], breaker: off } }\n`
    expect((await load(text, { plugins })).snapshot.services.a.breaker).toBeUndefined()
  })
})
