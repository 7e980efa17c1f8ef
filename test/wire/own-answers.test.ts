import { describe, expect, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { fieldValue, type RawResponse } from '../harness/message-reader.ts'
import { rawBackend } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'

const serve = reusedLb()

/** Every answer of our own: framed, short, with its code and the id of the request. */
function expectOwn(answer: RawResponse, status: number, code: string): void {
  expect(answer.status).toBe(status)
  expect(answer.framing).toBe('length')
  const body = answer.body.toString()
  expect(body).toContain(code)
  expect(body.length).toBeLessThan(1_000)
  const id = fieldValue(answer, 'x-request-id')
  if (id !== undefined) expect(body).toContain(id)
  else expect(body).toMatch(/[0-9a-f-]{12,}/i)
}

describe('answers of our own', () => {
  test('no route: 404, and the connection goes on', async () => {
    const backend = await rawBackend()
    const routes = [{ match: { path: '/known' }, service: 'app' }]
    const lb = await serve(simpleConfig([backend], { routes }))
    const client = await rawClient(lb.port)
    expectOwn(await client.request(request({ target: '/unknown' })), 404, 'MR_NO_ROUTE')
    expect((await client.request(request({ target: '/known' }))).status).toBe(200)
  })

  test('no route to a request with a body: the body is read away, or the connection ends', async () => {
    const backend = await rawBackend()
    const routes = [{ match: { path: '/known' }, service: 'app' }]
    const lb = await serve(simpleConfig([backend], { routes }))
    const client = await rawClient(lb.port)
    const smuggled = request({ target: '/known?smuggled' })
    const first = request({ method: 'POST', target: '/unknown', body: smuggled })
    client.write(first + request({ target: '/known' }))
    expectOwn(await client.response(), 404, 'MR_NO_ROUTE')
    client.end()
    await client.ended()
    expect(backend.requests.map(({ target }) => target)).not.toContain('/known?smuggled')
  })

  test('no backend: 503', async () => {
    const lb = await serve(simpleConfig([]))
    const client = await rawClient(lb.port)
    expectOwn(await client.request(request()), 503, 'MR_NO_BACKEND')
  })

  test('backends of weight 0 take nothing: 503', async () => {
    const backend = await rawBackend()
    const lb = await serve(simpleConfig([], { service: { backends: [{ url: backend.url, weight: 0 }] } }))
    const client = await rawClient(lb.port)
    expectOwn(await client.request(request()), 503, 'MR_NO_BACKEND')
  })

  test('connect failure: 502', async () => {
    const backend = await rawBackend()
    await backend.stop()
    const lb = await serve(simpleConfig(['http://127.0.0.1:1']))
    const client = await rawClient(lb.port)
    expectOwn(await client.request(request()), 502, 'MR_CONNECT')
    expectOwn(await client.request(request({ method: 'POST', body: 'x' })), 502, 'MR_CONNECT')
  })

  test('a malformed request: 400', async () => {
    const lb = await serve(simpleConfig([]))
    const client = await rawClient(lb.port)
    expectOwn(await client.request('GET / HTTP/1.1\r\nHost : a\r\n\r\n'), 400, 'MR_BAD_REQUEST')
  })
})

describe('request ids', () => {
  const proxy = fixture({ filters: ['request-id'] })

  test('are passed on where a client sends one', async () => {
    const client = await proxy.connect()
    const answer = await client.request(request({ fields: ['X-Request-Id: mine'] }))
    const seen = fieldValue(proxy.backend.requests[0], 'x-request-id')
    expect(seen).toBe('mine')
    expect(fieldValue(answer, 'x-request-id') ?? seen).toBe(seen)
  })
})

describe('trace contexts', () => {
  const proxy = fixture()

  test('are passed on untouched, or made', async () => {
    const client = await proxy.connect()
    const given = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await client.request(request({ fields: [`traceparent: ${given}`, 'tracestate: a=1'] }))
    await client.request(request())
    const [passed, made] = proxy.backend.requests
    expect(fieldValue(passed, 'traceparent')).toBe(given)
    expect(fieldValue(passed, 'tracestate')).toBe('a=1')
    expect(fieldValue(made, 'traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
  })
})
