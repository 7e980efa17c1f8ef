/** Who may call the API, from where, and how. */
import { describe, expect, test } from 'vitest'
import { roles } from '../../core/api/auth.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Api, apiOf, config, raw, tokens, type Who } from './harness.ts'

const cleanup = untilFileEnds()
let made: Promise<Api> | undefined
const shared = (): Promise<Api> => {
  made ??= apiOf({ cleanup }).then(async (api) => {
    await api.put(config())
    return api
  })
  return made
}

const one = '/v1/services/shop/backends/http%3A%2F%2F127.0.0.1%3A9001'

/** Every route that needs a token, and the least role for it. */
const routes: readonly (readonly [
  method: string,
  path: string,
  role: (typeof roles)[number],
  body?: unknown,
])[] = [
  ['GET', '/v1/config', 'read'],
  ['GET', '/v1/config/history', 'read'],
  ['GET', '/v1/config/diff', 'read'],
  ['PUT', '/v1/config', 'admin', {}],
  ['POST', '/v1/config/rollback', 'admin', { revision: 99 }],
  ['GET', '/v1/services', 'read'],
  ['GET', '/v1/services/shop', 'read'],
  ['PUT', '/v1/services/shop', 'admin', { nonsense: true }],
  ['DELETE', '/v1/services/nobody', 'admin'],
  ['GET', '/v1/services/shop/backends', 'read'],
  ['POST', '/v1/services/shop/backends', 'operate', { url: 'nonsense' }],
  ['GET', one, 'read'],
  ['DELETE', '/v1/services/shop/backends/nonsense', 'operate'],
  ['PUT', `${one}/weight`, 'operate', { weight: -1 }],
  ['PUT', `${one}/drain`, 'operate', {}],
  ['DELETE', `${one}/drain`, 'operate'],
  ['PUT', '/v1/services/shop/breaker', 'operate', {}],
  ['DELETE', '/v1/services/shop/breaker', 'operate'],
  ['GET', '/v1/overrides', 'read'],
  ['GET', '/v1/nodes', 'read'],
  ['GET', '/v1/nodes/lb-1', 'read'],
  ['DELETE', '/v1/nodes/lb-1', 'operate'],
  ['GET', '/v1/audit', 'admin'],
]

describe('roles', () => {
  for (const [method, path, needed, body] of routes)
    test(`${method} ${path} needs a token, and the role ${needed}`, async () => {
      const api = await shared()
      for (const who of ['nobody', ...roles] as const) {
        const { status, body: answer } = await api.ask(method, path, { who, body })
        const may = who !== 'nobody' && roles.indexOf(who) >= roles.indexOf(needed)
        if (who === 'nobody') expect([who, status, answer.code]).toEqual([who, 401, 'MR_UNAUTHORIZED'])
        else if (may) expect([401, 403]).not.toContain(status)
        else expect([who, status, answer.code]).toEqual([who, 403, 'MR_FORBIDDEN'])
      }
      expect(await api.revision()).toBe(1)
    })

  test('the list above holds every route of the OpenAPI document', async () => {
    const api = await shared()
    const { body } = await api.ask('GET', '/openapi.json', { who: 'nobody' })
    const documented = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const listed = routes.map(([method, path]) => {
      const named = path
        .replace(/(backends\/)[^/]+/, '$1{backend}')
        .replace(/(services\/)[^/]+/, '$1{service}')
        .replace(/(nodes\/)[^/]+/, '$1{node}')
      return `${method} ${named}`
    })
    expect(documented.sort()).toEqual([...listed, 'GET /v1/events'].sort())
  })

  test('a token that is wrong, of another scheme, or empty is none', async () => {
    const api = await shared()
    const { admin } = tokens
    for (const authorization of [
      'Bearer',
      'Bearer ',
      `Bearer ${admin}x`,
      `Bearer ${admin.slice(0, -1)}`,
      `Bearer ${admin} x`,
      `Basic ${Buffer.from(`admin:${admin}`).toString('base64')}`,
      admin,
      '',
    ]) {
      const { status, headers } = await api.ask('GET', '/v1/config', {
        who: 'nobody',
        headers: { authorization },
      })
      expect([authorization, status]).toEqual([authorization, 401])
      expect(headers.get('www-authenticate')).toContain('Bearer')
    }
    const { status } = await api.ask('GET', '/v1/config', {
      who: 'nobody',
      headers: { authorization: `bearer   ${admin}` },
    })
    expect(status).toBe(200)
  })

  test('without tokens whoever is on this machine may do everything; elsewhere it does not start', async () => {
    const open = await apiOf({ options: { tokens: [] } })
    const answer = await open.ask('PUT', '/v1/config', {
      who: 'nobody',
      body: config(),
      headers: { 'if-none-match': '*' },
    })
    expect(answer.status).toBe(200)
    expect((await open.store.get('config'))?.note.by).toBe('local')
    for (const host of ['0.0.0.0', '::', '192.0.2.1'])
      await expect(apiOf({ options: { tokens: [], host } })).rejects.toMatchObject({
        code: 'MR_LISTEN',
        path: 'api.tokens',
      })
    const everywhere = await apiOf({ options: { host: '0.0.0.0' } })
    expect((await raw(everywhere, 'GET', '/v1/config', { host: 'localhost' })).status).toBe(401)
  })
})

describe('pages in a browser', () => {
  const ask = async (headers: Record<string, string>) => {
    const api = await shared()
    const { status, text } = await raw(api, 'GET', '/v1/nodes', {
      authorization: `Bearer ${tokens.read}`,
      ...headers,
    })
    return { status, body: JSON.parse(text) }
  }

  test.each([
    'evil.example',
    'evil.example:9902',
    'localhost.evil.example',
    'notlb.example.com',
  ])('called as %j it refuses (DNS rebinding)', async (host) => {
    expect(await ask({ host })).toMatchObject({
      status: 403,
      body: { code: 'MR_FORBIDDEN', path: 'headers.host' },
    })
  })

  test.each([
    'localhost',
    'localhost:1',
    '127.0.0.1',
    '[::1]:9902',
    'lb.example.com',
    'LB.example.com:9902',
  ])('called as %s it answers', async (host) => {
    expect(await ask({ host })).toMatchObject({ status: 200 })
  })

  test('a page of another origin, or another site, is refused (CSRF)', async () => {
    const foreign: Record<string, string>[] = [
      { host: 'localhost', origin: 'http://evil.example' },
      { host: 'localhost', origin: 'null' },
      { host: 'localhost:9902', origin: 'http://localhost:8080' },
      { host: 'localhost', 'sec-fetch-site': 'cross-site' },
      { host: 'localhost', 'sec-fetch-site': 'same-site' },
    ]
    for (const headers of foreign)
      expect(await ask(headers)).toMatchObject({ status: 403, body: { code: 'MR_FORBIDDEN' } })
    expect(await ask({ host: 'localhost:9902', origin: 'http://localhost:9902' })).toMatchObject({
      status: 200,
    })
    expect(await ask({ host: 'localhost', 'sec-fetch-site': 'none' })).toMatchObject({ status: 200 })
  })

  test('the OpenAPI document needs no token, and is read under a known name only', async () => {
    const api = await shared()
    expect((await raw(api, 'GET', '/openapi.json', { host: 'localhost' })).status).toBe(200)
    expect((await raw(api, 'GET', '/openapi.json', { host: 'evil.example' })).status).toBe(403)
  })
})

test('the OpenAPI document: version 3.1, every route with its schemas, components by name', async () => {
  const api = await shared()
  const { body, headers } = await api.ask('GET', '/openapi.json', { who: 'nobody' })
  expect(headers.get('content-type')).toContain('application/json')
  expect(body).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'Millrace LB API', version: '1.2.3' },
    security: [{ token: [] }],
  })
  expect(Object.keys(body.components.schemas)).toEqual(
    expect.arrayContaining(['Error', 'Changed', 'Node', 'Service']),
  )
  expect(JSON.stringify(body)).not.toContain('#/components/schemas/def-')
  for (const [path, methods] of Object.entries(body.paths as Record<string, Record<string, Described>>))
    for (const [method, { summary, responses, requestBody }] of Object.entries(methods)) {
      expect([path, method, summary]).toEqual([path, method, expect.any(String)])
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['200', '4XX', '5XX']))
      expect([path, method, requestBody !== undefined]).toEqual([
        path,
        method,
        method === 'put' || method === 'post',
      ])
    }
})

interface Described {
  readonly summary?: string
  readonly responses: object
  readonly requestBody?: object
}

test('every answer says which request it was, and is not to be stored', async () => {
  const api = await shared()
  for (const who of ['nobody', 'read'] satisfies Who[]) {
    const { headers, body, status } = await api.ask('GET', '/v1/nodes', { who })
    expect(headers.get('cache-control')).toBe('no-store')
    const id = headers.get('millrace-request-id')
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    if (status === 401) expect(body.request).toBe(id)
  }
})
