import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { fieldValue, fieldValues, type RawMessage } from '../harness/message-reader.ts'
import { response } from '../harness/raw-backend.ts'
import { chunked, request } from '../harness/raw-client.ts'

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({}, filters)

  function names(message: RawMessage): string[] {
    return message.fields.map(([name]) => name.toLowerCase())
  }

  const hopByHop = ['keep-alive', 'proxy-connection', 'te', 'upgrade', 'http2-settings']

  describe('requests', () => {
    test('fields of one hop and those that Connection names stay behind', async () => {
      const client = await proxy.connect()
      const fields = [
        'Connection: X-Drop, keep-alive, upgrade, http2-settings, x-other',
        'x-drop: 1',
        'X-Other: 2',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'TE: trailers',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
        'X-Stay: 3',
      ]
      await client.request(request({ fields }))
      const [seen] = proxy.backend.requests
      expect(names(seen)).toContain('x-stay')
      for (const name of [...hopByHop, 'x-drop', 'x-other']) expect(names(seen)).not.toContain(name)
      expect(fieldValue(seen, 'connection') ?? '').not.toMatch(/x-drop|x-other|upgrade/i)
    })

    test('every Connection field counts, with empty elements and any case', async () => {
      const client = await proxy.connect()
      const fields = ['Connection: , ,x-a ,', 'X-A: 1', 'CONNECTION:\tX-B', 'x-b: 2', 'X-C: 3']
      await client.request(request({ fields }))
      const [seen] = proxy.backend.requests
      expect(names(seen)).toContain('x-c')
      expect(names(seen)).not.toContain('x-a')
      expect(names(seen)).not.toContain('x-b')
    })

    test('a client cannot have removed what the proxy adds', async () => {
      const client = await proxy.connect()
      const nominated = 'x-forwarded-for, x-forwarded-proto, x-forwarded-host, via, x-request-id, traceparent'
      await client.request(request({ fields: [`Connection: ${nominated}`, 'X-Forwarded-For: 6.6.6.6'] }))
      const [seen] = proxy.backend.requests
      expect(fieldValues(seen, 'x-forwarded-for')).toEqual(['127.0.0.1'])
      expect(fieldValues(seen, 'x-forwarded-proto')).toEqual(['http'])
      expect(fieldValues(seen, 'x-forwarded-host')).toEqual(['test'])
      expect(fieldValues(seen, 'via')).toHaveLength(1)
    })

    test('a client that names its own id or trace context as one of this hop gets ours added', async () => {
      const client = await proxy.connect()
      const trace = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
      const fields = ['Connection: X-Request-Id, traceparent', 'X-Request-Id: mine', `traceparent: ${trace}`]
      await client.request(request({ fields }))
      const [seen] = proxy.backend.requests
      expect(fieldValues(seen, 'x-request-id')).toHaveLength(1)
      expect(fieldValues(seen, 'traceparent')).toEqual([
        expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/),
      ])
    })

    test('a client cannot have removed what gives the message its meaning', async () => {
      const client = await proxy.connect()
      const fields = ['Connection: host, content-length, transfer-encoding', 'Content-Type: text/plain']
      await client.request(request({ method: 'POST', fields, body: 'hello' }))
      const [seen] = proxy.backend.requests
      expect(fieldValues(seen, 'host')).toEqual(['test'])
      expect(seen.body.toString()).toBe('hello')
      expect(proxy.backend.connections[0].error).toBeUndefined()
    })

    test('Transfer-Encoding is not copied but written anew', async () => {
      const client = await proxy.connect()
      await client.request(
        request({ method: 'POST', fields: ['Transfer-Encoding: ChUnKeD'], body: chunked(['hello', ' you']) }),
      )
      const [seen] = proxy.backend.requests
      expect(fieldValues(seen, 'transfer-encoding')).toEqual(['chunked'])
      expect(seen.body.toString()).toBe('hello you')
    })

    test('trailers of one hop stay behind', async () => {
      const client = await proxy.connect()
      const trailers = ['X-Drop: 1', 'Keep-Alive: 2', 'TE: 3', 'X-Sum: 4']
      const fields = ['Transfer-Encoding: chunked', 'Connection: x-drop']
      await client.request(request({ method: 'POST', fields, body: chunked(['a'], trailers) }))
      const [seen] = proxy.backend.requests
      expect(seen.trailers).toEqual([['X-Sum', '4']])
    })
  })

  describe('responses', () => {
    test('fields of one hop and those that Connection names stay behind', async () => {
      proxy.backend.respond((_, connection) => {
        const fields = [
          'Connection: X-Drop, keep-alive',
          'X-Drop: 1',
          'Keep-Alive: timeout=5, max=7',
          'Proxy-Connection: keep-alive',
          'TE: trailers',
          'Upgrade: h2c',
          'X-Stay: 2',
        ]
        connection.write(response({ fields, body: 'ok' }))
      })
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(names(answer)).toContain('x-stay')
      for (const name of [...hopByHop, 'x-drop']) expect(names(answer)).not.toContain(name)
      expect(fieldValue(answer, 'connection') ?? '').not.toMatch(/x-drop/i)
    })

    test('a backend cannot have removed what the proxy adds', async () => {
      proxy.backend.respond((_, connection) =>
        connection.write(response({ fields: ['Connection: via, content-length'], body: 'ok' })),
      )
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(fieldValues(answer, 'via')).toHaveLength(1)
      expect(answer.body.toString()).toBe('ok')
    })

    test('trailers of one hop stay behind', async () => {
      proxy.backend.respond((_, connection) => {
        const body = chunked(['a'], ['X-Drop: 1', 'Keep-Alive: 2', 'X-Sum: 4'])
        connection.write(response({ fields: ['Transfer-Encoding: chunked', 'Connection: x-drop'], body }))
      })
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(answer.trailers).toEqual([['X-Sum', '4']])
    })
  })
})
