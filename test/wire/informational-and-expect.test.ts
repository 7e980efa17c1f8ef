import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { response } from '../harness/raw-backend.ts'
import { request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

/** More than the socket buffers of both connections hold together. */
const total = 60_000_000
/** What the kernel's buffers and ours may take of it. */
const bound = 30_000_000

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({ service: { retries: { attempts: 0 } } }, filters)

  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'

  describe('informational responses', () => {
    test('are forwarded to HTTP/1.1 clients, each with its fields', async () => {
      proxy.backend.respond((_, connection) => {
        connection.write(`${hints}HTTP/1.1 102 Processing\r\n\r\n`)
        connection.write(response({ body: 'ok' }))
      })
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(answer.informational.map(({ status }) => status)).toEqual([103, 102])
      expect(fieldValue(answer.informational[0], 'link')).toBe('</a.css>; rel=preload')
      expect(answer.body.toString()).toBe('ok')
    })

    test('reach the client before the final response is there', async () => {
      proxy.backend.respond((_, connection) => connection.write(hints))
      const client = await proxy.connect()
      client.write(request())
      await until('the client saw the hints', () => client.text.includes('103 Early Hints'))
      proxy.backend.connections[0].write(response({ body: 'ok' }))
      expect((await client.response()).status).toBe(200)
    })

    test('are never forwarded to HTTP/1.0 clients', async () => {
      proxy.backend.respond((_, connection) => connection.write(hints + response({ body: 'ok' }).toString()))
      const client = await proxy.connect()
      const answer = await client.request(request({ version: 'HTTP/1.0' }))
      expect(answer.informational).toEqual([])
      expect(client.text).not.toContain('103')
      expect(answer.body.toString()).toBe('ok')
    })

    test('split byte by byte arrive whole', async () => {
      const bytes = Buffer.from(hints + response({ body: 'ok' }).toString())
      proxy.backend.respond((_, connection) => {
        for (const byte of bytes) connection.write(Buffer.of(byte))
      })
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(answer.informational).toHaveLength(1)
      expect(answer.body.toString()).toBe('ok')
    })

    test('that the client does not read are dropped in the end, but not the 100 that it waits for', async () => {
      const piece = Buffer.from(`HTTP/1.1 103 Early Hints\r\nLink: <${'x'.repeat(8_000)}>\r\n\r\n`.repeat(32))
      let poured = 0
      let isWhole = false
      proxy.backend.script = {
        onHead: async ({ method }, { socket }) => {
          if (method !== 'POST') return
          while (poured < total && !socket.destroyed) {
            poured += piece.length
            if (!socket.write(piece)) await once(socket, 'drain')
          }
          socket.write('HTTP/1.1 100 Continue\r\n\r\n', () => {
            isWhole = true
          })
        },
        onRequest: (_, connection) => connection.write(response({ body: 'ok' })),
      }
      const client = await proxy.connect({ paused: true })
      client.write(request({ method: 'POST', fields: ['Expect: 100-continue', 'Content-Length: 5'] }))
      await until('all has left the backend', () => isWhole, { timeoutMs: 20_000 })
      // Turns of the proxy's loop, in which it reads what is still in the kernel.
      const other = await proxy.connect()
      for (let i = 0; i < 10; i++) await other.request(request())
      client.socket.resume()
      await until('the client was told to go on', () =>
        client.reader.messages.some(({ status }) => status === 100),
      )
      client.write('hello')
      expect((await client.response()).status).toBe(200)
      expect(client.received.length).toBeLessThan(bound)
      expect(proxy.backend.requests.at(-1)?.body.toString()).toBe('hello')
    })

    test('101 that nobody asked for is a 502', async () => {
      proxy.backend.respond((_, connection) =>
        connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
        ),
      )
      const client = await proxy.connect()
      expect((await client.request(request())).status).toBe(502)
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
    })
  })

  describe('Expect: 100-continue', () => {
    const head = request({ method: 'POST', fields: ['Expect: 100-continue', 'Content-Length: 5'] })

    test('works end to end: the body is sent only after the 100 of the backend', async () => {
      proxy.backend.script = {
        onRequest: (_, connection) => connection.write(response({ body: 'done' })),
      }
      const client = await proxy.connect()
      client.write(head)
      await until('the head reached the backend', () => proxy.backend.connections[0]?.reader.current)
      expect(fieldValue(proxy.backend.connections[0].reader.current!, 'expect')).toBe('100-continue')
      expect(client.received).toHaveLength(0)
      proxy.backend.connections[0].write('HTTP/1.1 100 Continue\r\n\r\n')
      await until('the client was told to go on', () => client.text.startsWith('HTTP/1.1 100'))
      client.write('hello')
      const answer = await client.response()
      expect(answer.body.toString()).toBe('done')
      expect(proxy.backend.requests[0].body.toString()).toBe('hello')
    })

    test('a client that does not wait is served all the same', async () => {
      const client = await proxy.connect()
      const answer = await client.request(`${head}hello`)
      expect(answer.status).toBe(200)
      expect(proxy.backend.requests[0].body.toString()).toBe('hello')
    })

    test('a final answer instead of the 100 is forwarded, and no body is waited for', async () => {
      proxy.backend.script = {
        onHead: (_, connection) => connection.write(response({ status: 417, body: 'no' })),
      }
      const client = await proxy.connect()
      const answer = await client.request(head)
      expect(answer.status).toBe(417)
      expect(answer.body.toString()).toBe('no')
      // Whether a body follows is unknown now, so neither connection can carry another request.
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
      client.end()
      await client.ended()
      expect(proxy.backend.requests).toHaveLength(0)
    })

    test('an HTTP/1.0 client is sent no 100', async () => {
      proxy.backend.script = {
        onHead: (_, connection) => connection.write('HTTP/1.1 100 Continue\r\n\r\n'),
        onRequest: (_, connection) => connection.write(response({ body: 'ok' })),
      }
      const client = await proxy.connect()
      const answer = await client.request(`${head.replace('HTTP/1.1', 'HTTP/1.0')}hello`)
      expect(answer.status).toBe(200)
      expect(client.text).not.toContain('100 Continue')
    })

    test('another expectation is refused with 417', async () => {
      const client = await proxy.connect()
      const answer = await client.request(request({ fields: ['Expect: magic'] }))
      expect(answer.status).toBe(417)
      expect(answer.body.toString()).toContain('MR_EXPECTATION')
      expect(proxy.backend.requests).toHaveLength(0)
    })
  })
})
