import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { response } from '../harness/raw-backend.ts'
import { chunked, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({ service: { retries: { attempts: 0 } } }, filters)
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'

  test('an upstream connection is reused', async () => {
    const client = await proxy.connect()
    for (let i = 0; i < 5; i++) await client.request(request())
    const other = await proxy.connect()
    await other.request(request())
    expect(proxy.backend.connections).toHaveLength(1)
  })

  test('bytes on an idle connection close it; the next request does not see them', async () => {
    const client = await proxy.connect()
    await client.request(request())
    const [connection] = proxy.backend.connections
    connection.write(evil)
    await until('the proxy closed it', () => connection.closed)
    expect((await client.request(request())).body.toString()).toBe('ok')
    expect(proxy.backend.connections).toHaveLength(2)
    expect(client.text).not.toContain('evil')
  })

  test.each([
    ['a length', response({ body: 'good' })],
    ['chunks', response({ fields: ['Transfer-Encoding: chunked'], body: chunked(['good']) })],
    ['no body', response({ status: 204 })],
  ])('bytes behind a response framed by %s close the connection', async (_, bytes) => {
    proxy.backend.respond((_, connection) => connection.write(Buffer.concat([bytes, Buffer.from(evil)])))
    const client = await proxy.connect()
    const answer = await client.request(request())
    expect(['good', '']).toContain(answer.body.toString())
    await until('the proxy closed it', () => proxy.backend.connections[0].closed)
    proxy.backend.respond((_, connection) => connection.write(response({ body: 'next' })))
    expect((await client.request(request())).body.toString()).toBe('next')
    expect(client.text).not.toContain('evil')
  })

  test('a single stray byte is enough', async () => {
    proxy.backend.respond((_, connection) =>
      connection.write(Buffer.concat([response({ body: 'ok' }), Buffer.of(10)])),
    )
    const client = await proxy.connect()
    await client.request(request())
    await until('the proxy closed it', () => proxy.backend.connections[0].closed)
  })

  test('a FIN on an idle connection closes it, unnoticed by clients', async () => {
    const client = await proxy.connect()
    await client.request(request({ method: 'POST', body: 'x' }))
    const [connection] = proxy.backend.connections
    connection.end()
    await until('the proxy closed it', () => connection.closed)
    expect((await client.request(request({ method: 'POST', body: 'y' }))).status).toBe(200)
  })

  test('a backend that says close is not reused', async () => {
    proxy.backend.respond((_, connection) =>
      connection.write(response({ fields: ['Connection: close'], body: 'ok' })),
    )
    const client = await proxy.connect()
    await client.request(request())
    await until('the proxy closed it', () => proxy.backend.connections[0].closed)
    await client.request(request())
    expect(proxy.backend.connections).toHaveLength(2)
  })

  test('a Keep-Alive hint of the backend is honoured: the connection is closed before the backend would', async () => {
    proxy.backend.respond((_, connection) =>
      connection.write(response({ fields: ['Connection: keep-alive', 'Keep-Alive: timeout=1'], body: 'ok' })),
    )
    const client = await proxy.connect()
    await client.request(request())
    const from = performance.now()
    await until('the proxy closed it', () => proxy.backend.connections[0].closed)
    expect(performance.now() - from).toBeLessThan(1_500)
  })
})
