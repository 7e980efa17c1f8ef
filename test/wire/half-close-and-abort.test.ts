import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { response } from '../harness/raw-backend.ts'
import { chunked, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({}, filters)

  describe('a FIN after a complete request', () => {
    test('is a half-close: the answer still comes, then the connection ends', async () => {
      proxy.backend.script = {}
      const client = await proxy.connect()
      client.write(request())
      client.end()
      await until('the request is at the backend', () => proxy.backend.requests.length === 1)
      proxy.backend.connections[0].write(response({ body: 'late but here' }))
      expect((await client.response()).body.toString()).toBe('late but here')
      expect(await client.ended()).toBe('fin')
    })

    test('lets all requests that came before it be answered', async () => {
      const client = await proxy.connect()
      client.write(request().repeat(3))
      client.end()
      for (let i = 0; i < 3; i++) expect((await client.response()).body.toString()).toBe('ok')
      expect(await client.ended()).toBe('fin')
    })

    test('lets a long answer arrive whole', async () => {
      const body = 'x'.repeat(2_000_000)
      proxy.backend.respond((_, connection) => connection.write(response({ body })))
      const client = await proxy.connect()
      client.write(request({ method: 'POST', body: 'data' }))
      client.end()
      expect((await client.response()).body).toHaveLength(body.length)
    })

    test('on an idle connection just ends it', async () => {
      const client = await proxy.connect()
      await client.request(request())
      client.end()
      expect(await client.ended()).toBe('fin')
      expect(proxy.backend.open).toHaveLength(1)
    })
  })

  describe('a FIN inside a request', () => {
    test.each([
      ['in the head', request().slice(0, 20)],
      ['in the fields', `${request().slice(0, -2)}X-A: 1`],
    ])('%s: nothing reaches a backend', async (_, bytes) => {
      const client = await proxy.connect()
      client.write(bytes)
      client.end()
      expect(await client.ended()).not.toBe('open')
      expect(proxy.backend.requests).toHaveLength(0)
    })

    test.each([
      ['in a body with a length', request({ method: 'POST', fields: ['Content-Length: 100'], body: 'half' })],
      ['in a chunk', request({ method: 'POST', fields: ['Transfer-Encoding: chunked'], body: '20\r\nhalf' })],
      [
        'between chunks',
        request({ method: 'POST', fields: ['Transfer-Encoding: chunked'], body: '4\r\nhalf\r\n' }),
      ],
      [
        'in the trailers',
        request({
          method: 'POST',
          fields: ['Transfer-Encoding: chunked'],
          body: '4\r\nhalf\r\n0\r\nX-A: 1\r\n',
        }),
      ],
    ])('%s: the upstream request is aborted, never completed', async (_, bytes) => {
      const client = await proxy.connect()
      client.write(bytes)
      await until('the head is at the backend', () => proxy.backend.connections[0]?.reader.current)
      client.end()
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
      await client.ended()
      expect(proxy.backend.requests).toHaveLength(0)
    })
  })

  describe('a client that is gone', () => {
    test('while the backend thinks: the upstream request is aborted', async () => {
      proxy.backend.script = {}
      const client = await proxy.connect()
      client.write(request())
      await until('the request is at the backend', () => proxy.backend.requests.length === 1)
      client.abort()
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
    })

    test('while it is being answered: the upstream request is aborted', async () => {
      proxy.backend.respond((_, connection) => {
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n')
        connection.write(Buffer.alloc(4_000_000))
      })
      const client = await proxy.connect()
      client.write(request())
      await until('the answer has begun', () => client.received.length > 0)
      client.abort()
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
    })

    test('while it uploads: the upstream request is aborted', async () => {
      const client = await proxy.connect()
      client.write(request({ method: 'POST', fields: ['Content-Length: 100000000'] }))
      client.write(Buffer.alloc(100_000))
      await until('the head is at the backend', () => proxy.backend.connections[0]?.reader.current)
      client.abort()
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
      expect(proxy.backend.requests).toHaveLength(0)
    })

    test('leaves no socket behind, whenever it goes', async () => {
      proxy.backend.script = {
        onRequest: ({ target }, connection) => {
          if (target !== '/silent') connection.write(response({ body: 'x'.repeat(10_000) }))
        },
      }
      const full = request({
        method: 'POST',
        fields: ['Transfer-Encoding: chunked'],
        body: chunked(['some', 'data']),
      })
      for (let cut = 1; cut < full.length; cut += 7) {
        const client = await proxy.connect()
        client.write(full.slice(0, cut))
        client.abort()
        const silent = await proxy.connect()
        silent.write(request({ target: '/silent' }))
        if (cut % 2 === 0) await new Promise(setImmediate)
        silent.abort()
      }
      // What is left are idle connections of the pool, each of which has answered every request it carried.
      await until('no request is under way', () => {
        return proxy.backend.open.every(
          ({ requests, reader }) => reader.idle && requests.at(-1)?.target !== '/silent',
        )
      })
      const client = await proxy.connect()
      expect((await client.request(request())).status).toBe(200)
    })
  })
})
