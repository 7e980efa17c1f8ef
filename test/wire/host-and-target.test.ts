import { describe, expect, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { fieldValue, fieldValues } from '../harness/message-reader.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'

const serve = reusedLb()

const proxy = fixture()

describe('Host', () => {
  const malformed = [
    [],
    ['Host: a', 'Host: a'],
    ['Host: a', 'Host: b'],
    ['Host: a', 'hOST: b'],
    ['Host: a b'],
    ['Host: a/b'],
    ['Host: a?b'],
    ['Host: user@a'],
    ['Host: a:80:90'],
    ['Host: a:x'],
    ['Host: a:-1'],
    ['Host: a:99999'],
    ['Host: [::1'],
    ['Host: [::1]x'],
    ['Host: ::1'],
    ['Host: http://a'],
    ['Host: a\x80b'],
    ['Host: :80'],
  ]
  test.each(
    malformed.map((fields) => [fields.join(' + ') || 'none', fields] as const),
  )('missing, doubled or malformed is refused: %s', async (_, fields) => {
    const client = await proxy.connect()
    const answer = await client.request(
      `GET / HTTP/1.1\r\n${fields.map((line) => `${line}\r\n`).join('')}\r\n`,
    )
    expect(answer.status).toBe(400)
    expect(await client.ended()).not.toBe('open')
    expect(proxy.backend.requests).toHaveLength(0)
  })

  test.each([
    'a',
    'A.Example',
    'a:8080',
    'a:',
    '127.0.0.1:80',
    '[::1]',
    '[2001:db8::1]:8080',
    'a_b',
    '',
  ])('is forwarded as it came: %s', async (host) => {
    const client = await proxy.connect()
    expect((await client.request(request({ fields: [`Host: ${host}`] }))).status).toBe(200)
    expect(fieldValues(proxy.backend.requests[0], 'host')).toEqual([host])
  })
})

describe('absolute-form', () => {
  test.each([
    ['http://shop.example:8080/x?y', 'shop.example:8080', '/x?y'],
    ['http://shop.example', 'shop.example', '/'],
    ['HTTP://Shop.Example/', 'Shop.Example', '/'],
    ['http://shop.example?q=1', 'shop.example', '/?q=1'],
    ['http://[::1]:81/a//b', '[::1]:81', '/a//b'],
  ])('%s: Host is taken from the target', async (target, host, path) => {
    const client = await proxy.connect()
    await client.request(request({ target, fields: ['Host: other'] }))
    const [seen] = proxy.backend.requests
    expect(seen.target).toBe(path)
    expect(fieldValues(seen, 'host')).toEqual([host])
    expect(fieldValue(seen, 'x-forwarded-host')).toBe(host)
  })

  test('OPTIONS without a path becomes OPTIONS *', async () => {
    const client = await proxy.connect()
    await client.request(request({ method: 'OPTIONS', target: 'http://shop.example:8001' }))
    expect(proxy.backend.requests[0].target).toBe('*')
  })

  test.each([
    'http://',
    'http:///x',
    'http://a b/',
    'http://user@a/',
    'http://a:b:c/',
    'ftp://a/',
    'http:a',
    'a/b',
  ])('a malformed target is refused: %s', async (target) => {
    const client = await proxy.connect()
    expect((await client.request(request({ target }))).status).toBe(400)
    expect(proxy.backend.requests).toHaveLength(0)
  })

  test('the Host beside an absolute target must be well-formed too', async () => {
    const client = await proxy.connect()
    const answer = await client.request(request({ target: 'http://a/', fields: ['Host: a b'] }))
    expect(answer.status).toBe(400)
  })
})

describe('what is forwarded', () => {
  test('carries our version, whatever the client or the backend spoke', async () => {
    proxy.backend.respond((_, connection) => {
      connection.end('HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\nok')
    })
    const client = await proxy.connect()
    const answer = await client.request(request({ version: 'HTTP/1.0' }))
    expect(proxy.backend.requests[0].startLine).toBe('GET / HTTP/1.1')
    expect(answer.startLine).toBe('HTTP/1.1 200 Fine')
  })

  test('keeps the order of fields and the case of names', async () => {
    const fields = ['x-LOWER: 1', 'hOsT: test', 'X-Dup: a', 'accept: */*', 'X-dup: b', 'ETag: "q"']
    proxy.backend.respond((_, connection) =>
      connection.write(response({ fields: fields.slice(2), body: 'ok' })),
    )
    const client = await proxy.connect()
    const answer = await client.request(request({ fields }))
    const own = /^(via|x-forwarded-|forwarded|x-request-id|traceparent|content-length|connection|date)/i
    const kept = (list: readonly (readonly [string, string])[]): string[] =>
      list.filter(([name]) => !own.test(name)).map(([name, value]) => `${name}: ${value}`)
    expect(kept(proxy.backend.requests[0].fields)).toEqual(fields)
    expect(kept(answer.fields)).toEqual(fields.slice(2))
  })

  test.each([
    '/',
    '//',
    '/a%2Fb/../c/./d;e=f',
    '/%zz?%',
    '/a?',
    '/?a=b&c=d?e',
    '/"<>[]{}|\\^`',
    "/~!$&'()*+,;=:@",
  ])('has path and query byte for byte: %s', async (target) => {
    const client = await proxy.connect()
    await client.request(request({ target }))
    expect(proxy.backend.requests[0].target).toBe(target)
  })
})

test('routes are matched on the bytes that are forwarded', async () => {
  const api = await rawBackend((_, connection) => connection.write(response({ body: 'api' })))
  const rest = await rawBackend((_, connection) => connection.write(response({ body: 'rest' })))
  const config = simpleConfig([rest])
  const lb = await serve({
    ...config,
    routes: [{ match: { path: '/api' }, service: 'api' }, { service: 'app' }],
    services: { ...config.services, api: { backends: [api.url] } },
  })
  const client = await rawClient(lb.port)
  const answers: Record<string, string> = {}
  for (const target of [
    '/api',
    '/api/',
    '/api?x',
    '/api/../x',
    '/%61pi',
    '/apis',
    '//api',
    '/x/../api',
    '/API',
  ]) {
    answers[target] = (await client.request(request({ target }))).body.toString()
  }
  expect(answers).toEqual({
    '/api': 'api',
    '/api/': 'api',
    '/api?x': 'api',
    '/api/../x': 'api',
    '/%61pi': 'rest',
    '/apis': 'rest',
    '//api': 'rest',
    '/x/../api': 'rest',
    '/API': 'rest',
  })
  expect([...api.requests, ...rest.requests].map(({ target }) => target).sort()).toEqual(
    Object.keys(answers).sort(),
  )
})

test('a route by host follows the host of an absolute target, not the field', async () => {
  const shop = await rawBackend((_, connection) => connection.write(response({ body: 'shop' })))
  const rest = await rawBackend((_, connection) => connection.write(response({ body: 'rest' })))
  const config = simpleConfig([rest])
  const lb = await serve({
    ...config,
    routes: [{ match: { host: 'shop.example' }, service: 'shop' }, { service: 'app' }],
    services: { ...config.services, shop: { backends: [shop.url] } },
  })
  const client = await rawClient(lb.port)
  const ask = async (target: string, host: string): Promise<string> =>
    (await client.request(request({ target, fields: [`Host: ${host}`] }))).body.toString()
  expect(await ask('/', 'SHOP.example:8080')).toBe('shop')
  expect(await ask('http://shop.example/', 'other')).toBe('shop')
  expect(await ask('http://other/', 'shop.example')).toBe('rest')
})

describe('Via and Max-Forwards', () => {
  test('Via is added to both messages, behind what is there', async () => {
    proxy.backend.respond((_, connection) =>
      connection.write(response({ fields: ['Via: 1.0 far'], body: 'ok' })),
    )
    const client = await proxy.connect()
    const answer = await client.request(request({ fields: ['Via: 1.1 near'] }))
    expect(fieldValue(proxy.backend.requests[0], 'via')).toMatch(/^1\.1 near, 1\.1 \S+$/)
    expect(fieldValue(answer, 'via')).toMatch(/^1\.0 far, 1\.1 \S+$/)
  })

  test('Via names the version that was received', async () => {
    const client = await proxy.connect()
    await client.request(request({ version: 'HTTP/1.0' }))
    expect(fieldValue(proxy.backend.requests[0], 'via')).toMatch(/^1\.0 \S+$/)
  })

  test.each(['OPTIONS', 'TRACE'])('%s with Max-Forwards: 0 goes no further', async (method) => {
    const client = await proxy.connect()
    const answer = await client.request(request({ method, fields: ['Max-Forwards: 0'] }))
    expect(answer.status).toBeLessThan(500)
    expect(proxy.backend.requests).toHaveLength(0)
    expect((await client.request(request())).status).toBe(200)
  })

  test.each(['OPTIONS', 'TRACE'])('%s counts Max-Forwards down', async (method) => {
    const client = await proxy.connect()
    await client.request(request({ method, fields: ['Max-Forwards: 10'] }))
    expect(fieldValue(proxy.backend.requests[0], 'max-forwards')).toBe('9')
  })

  test('other methods keep Max-Forwards as it is', async () => {
    const client = await proxy.connect()
    await client.request(request({ fields: ['Max-Forwards: 0'] }))
    expect(fieldValue(proxy.backend.requests[0], 'max-forwards')).toBe('0')
  })

  test('OPTIONS * is forwarded as such', async () => {
    const client = await proxy.connect()
    expect((await client.request(request({ method: 'OPTIONS', target: '*' }))).status).toBe(200)
    expect(proxy.backend.requests[0].startLine).toBe('OPTIONS * HTTP/1.1')
  })

  test('CONNECT is refused', async () => {
    const client = await proxy.connect()
    const answer = await client.request(
      request({ method: 'CONNECT', target: 'a:443', fields: ['Host: a:443'] }),
    )
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(proxy.backend.connections).toHaveLength(0)
  })
})
