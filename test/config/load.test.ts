import { describe, expect, test } from 'vitest'
import { canonical } from '#core/config/canonical'
import { load, web } from './load-text.ts'

const oneService = `${web}services: { shop: { backends: ["http://127.0.0.1:9003"] } }\nroutes: [{ service: shop }]\n`

describe('defaults', () => {
  test('of a service', async () => {
    const { snapshot } = await load(oneService)
    expect(snapshot.services.shop).toEqual({
      name: 'shop',
      algorithm: { use: 'round-robin', options: {}, path: 'services.shop.algorithm' },
      backends: [
        {
          url: 'http://127.0.0.1:9003',
          protocol: 'http',
          host: '127.0.0.1',
          port: 9003,
          socketPath: '',
          weight: 1,
          zone: '',
          tags: [],
          priority: 0,
        },
      ],
      health: undefined,
      breaker: { use: 'error-rate', options: {}, path: 'services.shop.breaker', fallback: undefined },
      filters: [],
      timeouts: { connectMs: 1000, firstByteMs: 15_000, idleMs: 60_000, requestMs: 0 },
      retries: { attempts: 1, budget: 0.2, bodyBuffer: 65_536, on: [] },
      connections: { max: 256, idleMs: 60_000, pipelining: 1, queue: 1024, queueTimeoutMs: 1000 },
      upgrades: ['websocket'],
      panicThreshold: 0.5,
      loadBound: 0,
      slowStart: { windowMs: 0, aggression: 1, minimum: 0.1 },
      zonePreference: true,
      key: { from: 'client-ip', name: '' },
      host: { mode: 'client', value: '' },
      tls: { verify: true, ca: undefined, serverName: undefined, cert: undefined, key: undefined },
    })
  })

  test('of everything else', async () => {
    const { bootstrap, snapshot, files, warnings } = await load(oneService)
    expect(bootstrap).toEqual({
      fleet: 'default',
      fleetKeys: [],
      node: { id: 'lb-1', threads: 1, data: '/nowhere/.millrace', advertise: '127.0.0.1', zone: '' },
      admin: undefined,
      probing: 'self',
      plugins: [],
    })
    const { services: _services, ...rest } = snapshot
    expect(rest).toEqual({
      revision: 0,
      directory: '/nowhere',
      listeners: [
        {
          name: 'web',
          host: '127.0.0.1',
          port: 0,
          socketPath: '',
          proxyProtocol: false,
          tls: undefined,
          ownRoutes: false,
        },
      ],
      limits: {
        head: 16_384,
        fields: 100,
        target: 8192,
        headTimeoutMs: 10_000,
        body: 0,
        bodyIdleMs: 30_000,
        bodyMinRate: 240,
        writeStallMs: 60_000,
        keepAliveMs: 75_000,
        tlsHandshakeMs: 10_000,
        connectionsPerAddress: 1000,
        connections: 20_000,
      },
      drain: { delayMs: 5000, timeoutMs: 30_000 },
      trustedProxies: [],
      accessLog: { enabled: false, path: undefined },
      filters: [],
      routes: [
        {
          name: '*',
          host: undefined,
          path: undefined,
          methods: undefined,
          headers: [],
          services: [{ service: 'shop', weight: 1 }],
          filters: [],
          listener: undefined,
        },
      ],
    })
    expect(files).toEqual([])
    expect(warnings).toEqual([])
  })

  test('an empty config is valid, and so is a service without backends', async () => {
    expect((await load(web)).snapshot).toMatchObject({ routes: [], services: {} })
    expect((await load(`${web}services: { a: { backends: [] } }\n`)).snapshot.services.a.backends).toEqual([])
  })
})

const full = `
# yaml-language-server: $schema=./millrace.schema.json
fleet: east
node: { id: lb-7, threads: 2, data: ./state, advertise: 10.0.0.7 }
admin: { address: 127.0.0.1:9901 }
probing: self
trustedProxies: [10.0.0.0/8, "::1"]
limits: { head: 32KiB, headTimeout: 5s, connectionsPerAddress: 10, bodyMinRate: 1KiB/s }
drain: { delay: 1s, timeout: 10s }
accessLog: { path: ./access.log }
listeners:
  web: { address: 127.0.0.1:8080, proxyProtocol: true }
  inner:
    address: unix:/run/lb.sock
    routes: [{ service: shop }]
filters: [request-id, request-id, { use: headers, id: request-id-2, failOpen: true, deadline: 1s, set: { a: b } }]
routes:
  - name: the-api
    match: { host: Shop.Example.com, path: /api, method: [POST, GET], headers: { X-User: true, accept: text/html } }
    service: [{ service: api, weight: 9 }, { service: shop }]
    filters: [{ use: headers, remove: [x-secret] }]
  - { match: { host: "*.example.com", method: GET }, service: shop }
services:
  api:
    algorithm: { use: ring-hash, points: 100 }
    backends:
      - http://127.0.0.1:9001
      - { url: "http://[::1]:9002", weight: 3, zone: a, tags: [blue] }
      - unix:/run/api.sock
    health: { use: http-probe, path: /health, port: 8081, interval: 3s, timeout: 2s, rise: 1, fall: 4, initial: down }
    breaker: { use: consecutive-errors, limit: 5 }
    timeouts: { connect: 2s, firstByte: 3s, idle: 4s, request: 5s }
    retries: { attempts: 2, budget: 10%, bodyBuffer: 1KiB, on: [503, 503] }
    connections: { max: 10, idle: 1s, pipelining: 4, queue: 0, queueTimeout: 2s }
    upgrades: [WebSocket]
    panicThreshold: 25%
    key: header:X-User
    host: backend
  shop: { algorithm: maglev, breaker: off, health: http-probe, backends: ["https://127.0.0.1"], host: "Shop.internal:8443" }
`

describe('a full config', () => {
  test('has units read and addresses split', async () => {
    const { bootstrap, snapshot } = await load(full)
    expect(bootstrap).toMatchObject({
      fleet: 'east',
      node: { id: 'lb-7', threads: 2, data: '/nowhere/state', advertise: '10.0.0.7' },
      admin: { host: '127.0.0.1', port: 9901 },
    })
    expect(snapshot.trustedProxies).toEqual(['10.0.0.0/8', '::1/128'])
    expect(snapshot.limits).toMatchObject({ head: 32_768, headTimeoutMs: 5000, bodyMinRate: 1024 })
    expect(snapshot.accessLog).toEqual({ enabled: true, path: '/nowhere/access.log' })
    expect(snapshot.listeners).toMatchObject([
      { name: 'web', port: 8080, proxyProtocol: true, ownRoutes: false },
      { name: 'inner', host: '', socketPath: '/run/lb.sock', ownRoutes: true },
    ])
  })

  test('has routes in normal form, those of a listener after the shared ones', async () => {
    const { routes } = (await load(full)).snapshot
    expect(routes).toMatchObject([
      {
        name: 'the-api',
        host: 'shop.example.com',
        path: '/api',
        methods: ['GET', 'POST'],
        headers: [
          { name: 'accept', value: 'text/html' },
          { name: 'x-user', value: undefined },
        ],
        services: [
          { service: 'api', weight: 9 },
          { service: 'shop', weight: 1 },
        ],
        filters: [{ use: 'headers', path: 'routes[0].filters[0]' }],
        listener: undefined,
      },
      { name: 'GET *.example.com', methods: ['GET'], listener: undefined },
      { name: '* @inner', listener: 'inner' },
    ])
  })

  test('has the slot keys taken out of the options, which stay raw', async () => {
    const { services, filters } = (await load(full)).snapshot
    expect(services.api.algorithm).toEqual({
      use: 'ring-hash',
      options: { points: 100 },
      path: 'services.api.algorithm',
    })
    expect(services.api.health).toEqual({
      use: 'http-probe',
      options: { path: '/health', port: 8081 },
      path: 'services.api.health',
      intervalMs: 3000,
      timeoutMs: 2000,
      rise: 1,
      fall: 4,
      initial: 'down',
    })
    expect(services.api.breaker).toMatchObject({ use: 'consecutive-errors', options: { limit: 5 } })
    expect(services.shop.breaker).toBeUndefined()
    expect(services.shop.health).toMatchObject({
      intervalMs: 2000,
      timeoutMs: 1000,
      rise: 2,
      fall: 3,
      initial: 'up',
    })
    expect(filters[2]).toEqual({
      use: 'headers',
      options: { set: { a: 'b' } },
      path: 'filters[2]',
      id: 'request-id-2',
      failOpen: true,
      deadlineMs: 1000,
    })
  })

  test('gives every filter of a list its own id, past ids that are taken', async () => {
    const { filters } = (await load(full)).snapshot
    expect(filters.map(({ id }) => id)).toEqual(['request-id', 'request-id-3', 'request-id-2'])
  })

  test('has services in full', async () => {
    const { api, shop } = (await load(full)).snapshot.services
    expect(api.backends.map(({ url }) => url)).toEqual([
      'http://127.0.0.1:9001',
      'http://[::1]:9002',
      'unix:/run/api.sock',
    ])
    expect(api.backends[1]).toMatchObject({ host: '::1', weight: 3, zone: 'a', tags: ['blue'] })
    expect(api.timeouts).toEqual({ connectMs: 2000, firstByteMs: 3000, idleMs: 4000, requestMs: 5000 })
    expect(api.retries).toEqual({ attempts: 2, budget: 0.1, bodyBuffer: 1024, on: [503] })
    expect(api.connections).toEqual({ max: 10, idleMs: 1000, pipelining: 4, queue: 0, queueTimeoutMs: 2000 })
    expect(api).toMatchObject({ upgrades: ['websocket'], panicThreshold: 0.25 })
    expect(api.key).toEqual({ from: 'header', name: 'x-user' })
    expect(api.host).toEqual({ mode: 'backend', value: '' })
    expect(shop.host).toEqual({ mode: 'fixed', value: 'shop.internal:8443' })
  })

  test('can be sent to a thread', async () => {
    const { snapshot } = await load(full)
    expect(structuredClone(snapshot)).toEqual(snapshot)
  })
})

describe('YAML', () => {
  test('anchors, aliases and merges work, and a place for them is any key that starts with x-', async () => {
    const { services } = (
      await load(`${web}
x-common: &common { timeouts: { connect: 3s }, retries: { attempts: 5 } }
services:
  a: { <<: *common, backends: [], retries: { attempts: 0 } }
  b: { <<: [*common, { breaker: off }], backends: [] }
`)
    ).snapshot
    expect(services.a).toMatchObject({ timeouts: { connectMs: 3000 }, retries: { attempts: 0 } })
    expect(services.b).toMatchObject({
      timeouts: { connectMs: 3000 },
      retries: { attempts: 5 },
      breaker: undefined,
    })
  })

  test.each(['off', 'false', '"off"', 'False'])('breaker: %s is none', async (word) => {
    const { services } = (
      await load(`${web}services: { a: { backends: [], breaker: ${word}, health: ${word} } }\n`)
    ).snapshot
    expect(services.a).toMatchObject({ breaker: undefined, health: undefined })
  })

  test('JSON is read too, with tabs and a byte order mark', async () => {
    const text = '\ufeff{\n\t"listeners": {\n\t\t"web": { "address": "127.0.0.1:0" }\n\t}\n}\n'
    expect((await load(text, { name: 'lb.json' })).snapshot.listeners).toHaveLength(1)
  })

  test('names such as __proto__ and constructor are data', async () => {
    const { services } = (await load(`${web}services: { constructor: { backends: [] } }\n`)).snapshot
    expect(Object.keys(services)).toEqual(['constructor'])
  })
})

test('canonical text is the same for equal configs and another for other ones', async () => {
  const first = await load(full)
  const reordered = await load(full.replace('weight: 3, zone: a', 'zone: a, weight: 3'))
  const edited = await load(full.replace('weight: 3', 'weight: 4'))
  expect(canonical(reordered.snapshot)).toBe(canonical(first.snapshot))
  expect(canonical(edited.snapshot)).not.toBe(canonical(first.snapshot))
  expect(canonical({ b: 1, a: undefined })).toBe(canonical({ b: 1 }))
  expect(canonical(undefined)).toBe('undefined')
})
