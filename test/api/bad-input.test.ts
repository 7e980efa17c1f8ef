/** Bad input: the right status, a message with the path of the mistake, and nothing changed. */
import { expect, test } from 'vitest'
import { overridesDocument } from '../../core/config/overrides.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Api, type Ask, apiOf, config, raw, tokens } from './harness.ts'

const cleanup = untilFileEnds()
let made: Promise<Api> | undefined
const shared = (): Promise<Api> => {
  made ??= apiOf({ cleanup }).then(async (api) => {
    await api.put(config())
    return api
  })
  return made
}

const onTop = { 'if-match': '"1"' }
const shop = (more: object) => ({ ...config(), services: { shop: { ...config().services.shop, ...more } } })
const backend = '/v1/services/shop/backends/http%3A%2F%2F127.0.0.1%3A9001'

type Case = readonly [
  what: string,
  method: string,
  path: string,
  ask: Ask,
  status: number,
  code: string,
  at: string | undefined,
]

const put = (what: string, body: unknown, status: number, code: string, at: string): Case => [
  what,
  'PUT',
  '/v1/config',
  { body, headers: onTop },
  status,
  code,
  at,
]

// biome-ignore format: one case a line
const cases: readonly Case[] = [
  put('an unknown plugin', shop({ algorithm: 'round-robbin' }), 422, 'MR_PLUGIN_UNKNOWN', 'services.shop.algorithm'),
  put('an unknown filter', { ...config(), filters: ['nothing'] }, 422, 'MR_PLUGIN_UNKNOWN', 'filters[0]'),
  put('a path of a plugin', { ...config(), filters: [{ use: './evil.ts' }] }, 422, 'MR_CONFIG_INVALID', 'filters[0].use'),
  put('an absolute path of a plugin', shop({ algorithm: '/tmp/evil.ts' }), 422, 'MR_CONFIG_INVALID', 'services.shop.algorithm'),
  put('a package', shop({ health: { use: '@evil/probe' } }), 422, 'MR_CONFIG_INVALID', 'services.shop.health.use'),
  put('plugins', { ...config(), plugins: ['/tmp/evil.ts'] }, 422, 'MR_CONFIG_INVALID', 'plugins'),
  put('a part of the node’s own', { ...config(), listeners: {} }, 422, 'MR_CONFIG_INVALID', 'listeners'),
  put('a file of a node', shop({ tls: { ca: '/etc/passwd' } }), 422, 'MR_CONFIG_INVALID', 'services.shop.tls.ca'),
  put('a wrong type', shop({ backends: 'http://127.0.0.1:9001' }), 422, 'MR_CONFIG_INVALID', 'services.shop.backends'),
  put('a wrong weight', shop({ backends: [{ url: 'http://127.0.0.1:1', weight: 'much' }] }), 422, 'MR_CONFIG_INVALID', 'services.shop.backends[0].weight'),
  put('wrong options', shop({ breaker: { use: 'error-rate', threshold: 'much' } }), 422, 'MR_PLUGIN_OPTIONS', 'services.shop.breaker.threshold'),
  put('an unknown key', shop({ algoritm: 'random' }), 422, 'MR_CONFIG_UNKNOWN_KEY', 'services.shop.algoritm'),
  put('a route that leads nowhere', { ...config(), routes: [{ service: 'shpo' }] }, 422, 'MR_CONFIG_REFERENCE', 'routes[0].service'),
  put('a backend twice', shop({ backends: ['http://a', 'http://a:80'] }), 422, 'MR_CONFIG_DUPLICATE', 'services.shop.backends[1]'),
  put('a list', [], 400, 'MR_BAD_REQUEST', ''),
  ['no JSON', 'PUT', '/v1/config', { body: '{"routes": [', type: 'application/json', headers: onTop }, 400, 'MR_BAD_REQUEST', undefined],
  ['__proto__', 'PUT', '/v1/config', { body: '{"__proto__": {}}', type: 'application/json', headers: onTop }, 400, 'MR_BAD_REQUEST', undefined],
  ['JSON that is nested too deep', 'PUT', '/v1/config', { body: `{"services":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, type: 'application/json', headers: onTop }, 400, 'MR_BAD_REQUEST', undefined],
  ['a service called __proto__', 'PUT', '/v1/services/__proto__', { body: { backends: [] } }, 400, 'MR_BAD_REQUEST', 'path.service'],
  ['no YAML', 'PUT', '/v1/config', { body: 'routes: [', headers: onTop }, 400, 'MR_CONFIG_SYNTAX', ''],
  ['YAML with an unknown alias', 'PUT', '/v1/config', { body: 'routes: [{ match: { host: *.example.com }, service: shop }]', headers: onTop }, 400, 'MR_CONFIG_SYNTAX', 'routes[0].match.host'],
  ['YAML with __proto__', 'PUT', '/v1/config', { body: 'services: { __proto__: {} }', headers: onTop }, 400, 'MR_CONFIG_SYNTAX', 'services.__proto__'],
  ['no body', 'PUT', '/v1/config', { headers: onTop }, 400, 'MR_BAD_REQUEST', undefined],
  ['a content type that is not read', 'PUT', '/v1/config', { body: 'x', type: 'text/plain', headers: onTop }, 415, 'MR_CONTENT_TYPE', undefined],
  ['a form', 'PUT', `${backend}/weight`, { body: 'weight=1', type: 'application/x-www-form-urlencoded' }, 415, 'MR_CONTENT_TYPE', undefined],
  ['a stale revision', 'PUT', '/v1/config', { body: {}, headers: { 'if-match': '"0"' } }, 412, 'MR_REVISION_STALE', 'headers.if-match'],
  ['no revision', 'PUT', '/v1/config', { body: {} }, 428, 'MR_REVISION_NEEDED', 'headers.if-match'],
  ['a revision that is none', 'PUT', '/v1/config', { body: {}, headers: { 'if-match': 'W/"x"' } }, 400, 'MR_BAD_REQUEST', 'headers.if-match'],
  ['both preconditions', 'PUT', '/v1/config', { body: {}, headers: { ...onTop, 'if-none-match': '*' } }, 400, 'MR_BAD_REQUEST', 'headers.if-none-match'],
  ['a message of two lines', 'PUT', '/v1/config?message=a%0Ab', { body: {}, headers: onTop }, 400, 'MR_BAD_REQUEST', 'query.message'],
  ['an unknown query', 'PUT', '/v1/config?mesage=a', { body: {}, headers: onTop }, 400, 'MR_BAD_REQUEST', 'query.mesage'],
  ['a rollback to a text', 'POST', '/v1/config/rollback', { body: { revision: '1' } }, 400, 'MR_BAD_REQUEST', 'revision'],
  ['a rollback to nothing', 'POST', '/v1/config/rollback', { body: {} }, 400, 'MR_BAD_REQUEST', 'revision'],
  ['a weight that is a text', 'PUT', `${backend}/weight`, { body: { weight: '3' } }, 400, 'MR_BAD_REQUEST', 'weight'],
  ['a weight that is too much', 'PUT', `${backend}/weight`, { body: { weight: 65_536 } }, 400, 'MR_BAD_REQUEST', 'weight'],
  ['a weight and more', 'PUT', `${backend}/weight`, { body: { weight: 1, wait: 2 } }, 400, 'MR_BAD_REQUEST', 'wait'],
  ['a backend without a URL', 'POST', '/v1/services/shop/backends', { body: { weight: 1 } }, 400, 'MR_BAD_REQUEST', 'url'],
  ['a backend with a path', 'POST', '/v1/services/shop/backends', { body: { url: 'http://a/b' } }, 400, 'MR_BAD_REQUEST', 'url'],
  ['a tag that is a number', 'POST', '/v1/services/shop/backends', { body: { url: 'http://a', tags: [1] } }, 400, 'MR_BAD_REQUEST', 'tags[0]'],
  ['a backend of no service', 'POST', '/v1/services/shpo/backends', { body: { url: 'http://a' } }, 404, 'MR_SERVICE_UNKNOWN', 'path.service'],
  ['a service with an unknown plugin', 'PUT', '/v1/services/new', { body: { backends: [], algorithm: 'x' } }, 422, 'MR_PLUGIN_UNKNOWN', 'services.new.algorithm'],
  ['a service without backends', 'PUT', '/v1/services/new', { body: {} }, 422, 'MR_CONFIG_INVALID', 'services.new.backends'],
  ['a service of a bad name', 'PUT', '/v1/services/a%20b', { body: { backends: [] } }, 422, 'MR_CONFIG_INVALID', 'services["a b"]'],
  ['a limit of nothing', 'GET', '/v1/config/history?limit=0', {}, 400, 'MR_BAD_REQUEST', 'query.limit'],
  ['a limit of words', 'GET', '/v1/config/history?limit=all', {}, 400, 'MR_BAD_REQUEST', 'query.limit'],
  ['an unknown path', 'GET', '/v1/nothing', {}, 404, 'MR_NOT_FOUND', undefined],
  ['an unknown method', 'PATCH', '/v1/config', { body: {} }, 404, 'MR_NOT_FOUND', undefined],
  ['a path that cannot be read', 'GET', '/v1/services/%zz', {}, 400, 'MR_BAD_REQUEST', undefined],
]

test.each(cases)('%s', async (_what, method, path, ask, status, code, at) => {
  const api = await shared()
  const answer = await api.ask(method, path, ask)
  expect(answer).toMatchObject({ status, body: { code, message: expect.stringMatching(/\S/) } })
  expect(answer.body.path).toBe(at)
  expect(await api.config()).toEqual(config())
  expect(await api.revision()).toBe(1)
  expect(await api.revision(overridesDocument)).toBe(0)
})

test('all mistakes of a config are told at once, those of YAML with their lines', async () => {
  const api = await shared()
  const body = shop({ algorithm: 'round-robbin', backends: ['nonsense'] })
  const { body: told } = await api.ask('PUT', '/v1/config', { body, headers: onTop })
  const paths = (told.problems as { path: string }[]).map(({ path }) => path)
  expect(paths.sort()).toEqual(['services.shop.algorithm', 'services.shop.backends[0]'])
  expect(told.message).toContain('(and 1 more)')
  expect(told.problems.some(({ hint }: { hint?: string }) => hint === 'did you mean "round-robin"?')).toBe(
    true,
  )
  const yaml = await api.ask('PUT', '/v1/config', { body: 'routes: []\nfilters: @x\n', headers: onTop })
  expect(yaml.body.problems).toMatchObject([{ line: 2, column: 10 }])
})

test('a body of 5 MB is 413, by its length or by what comes, and with a wrong token 401', async () => {
  const api = await shared()
  const body = Buffer.alloc(5_000_000, 'x')
  const headers = {
    ...{ host: 'localhost', 'content-type': 'application/yaml', ...onTop },
    authorization: `Bearer ${tokens.admin}`,
  }
  const told = await raw(
    api,
    'PUT',
    '/v1/config',
    { ...headers, 'content-length': String(body.length) },
    body,
  )
  expect(told).toMatchObject({ status: 413 })
  expect(JSON.parse(told.text)).toMatchObject({ code: 'MR_BODY_TOO_LARGE' })
  // Whoever sends in pieces may be cut off before he has read the answer; he has changed nothing either way.
  const pieces = await raw(
    api,
    'PUT',
    '/v1/config',
    { ...headers, 'transfer-encoding': 'chunked' },
    body,
  ).catch(() => undefined)
  if (pieces) expect(pieces.status).toBe(413)
  const stranger = await raw(api, 'PUT', '/v1/config', { ...headers, authorization: 'Bearer nobody' }, body)
  expect(stranger.status).toBe(401)
  expect(await api.config()).toEqual(config())
})

test('a config of 10,000 backends is taken and given', async () => {
  const api = await apiOf()
  const services = Object.fromEntries(
    Array.from({ length: 100 }, (_, s) => [
      `service-${s}`,
      {
        backends: Array.from({ length: 100 }, (_, b) => ({
          url: `http://10.0.${s}.${b}:8080`,
          weight: 2,
          zone: 'a',
        })),
      },
    ]),
  )
  const data = { routes: [{ service: 'service-0' }], services }
  await api.put(data)
  expect((await api.ask('GET', '/v1/config')).body).toEqual(data)
  const path = `/v1/services/service-7/backends/${encodeURIComponent('http://10.0.7.7:8080')}`
  expect((await api.ask('PUT', `${path}/weight`, { body: { weight: 5 } })).body).toMatchObject({
    revision: 2,
  })
  expect((await api.ask('GET', path)).body).toMatchObject({ weight: 5 })
})
