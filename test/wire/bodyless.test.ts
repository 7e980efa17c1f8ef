import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { fieldValue, fieldValues } from '../harness/message-reader.ts'
import { response } from '../harness/raw-backend.ts'
import { request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({}, filters)

  /** Responses that have no body whatever their fields say (RFC 9112 §6.3 rule 1). */
  const cases: readonly [name: string, method: string, status: number, framing: string][] = [
    ['HEAD with a length', 'HEAD', 200, 'Content-Length: 5'],
    ['HEAD with chunked', 'HEAD', 200, 'Transfer-Encoding: chunked'],
    ['HEAD of a 404', 'HEAD', 404, 'Content-Length: 9000'],
    ['204', 'GET', 204, 'X-A: 1'],
    ['204 with a length', 'GET', 204, 'Content-Length: 5'],
    ['204 with chunked', 'GET', 204, 'Transfer-Encoding: chunked'],
    ['304 with a length', 'GET', 304, 'Content-Length: 5'],
    ['304 with chunked', 'GET', 304, 'Transfer-Encoding: chunked'],
    ['204 to a POST', 'POST', 204, 'Content-Length: 5'],
  ]

  describe('without a body', () => {
    test.each(cases)('%s: both connections go on', async (_, method, status, framing) => {
      proxy.backend.respond((_, connection) => connection.write(`HTTP/1.1 ${status} X\r\n${framing}\r\n\r\n`))
      const client = await proxy.connect()
      const body = method === 'POST' ? 'data' : undefined
      const answer = await client.request(request({ method, body }))
      expect(answer.status).toBe(status)
      expect(answer.body).toHaveLength(0)
      proxy.backend.respond((_, connection) => connection.write(response({ body: 'next' })))
      expect((await client.request(request())).body.toString()).toBe('next')
      expect(proxy.backend.connections).toHaveLength(1)
    })

    test('HEAD keeps the length that a GET would have had', async () => {
      proxy.backend.respond((_, connection) =>
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n'),
      )
      const client = await proxy.connect()
      const answer = await client.request(request({ method: 'HEAD' }))
      expect(fieldValue(answer, 'content-length')).toBe('1234')
    })

    test.each([
      'Transfer-Encoding: chunked',
      'Content-Length: 5',
    ])('a 204 carries no framing fields: %s', async (framing) => {
      proxy.backend.respond((_, connection) =>
        connection.write(`HTTP/1.1 204 No Content\r\n${framing}\r\n\r\n`),
      )
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(fieldValues(answer, 'transfer-encoding')).toEqual([])
      // RFC 9110 §8.6: no Content-Length with 1xx and 204.
      expect(fieldValues(answer, 'content-length')).toEqual([])
    })

    test('a 1xx carries no framing fields', async () => {
      proxy.backend.respond((_, connection) => {
        connection.write(
          'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n',
        )
        connection.write(response({ body: 'ok' }))
      })
      const client = await proxy.connect()
      const answer = await client.request(request())
      const [hints] = answer.informational
      expect(fieldValue(hints, 'x-a')).toBe('1')
      expect(fieldValues(hints, 'content-length')).toEqual([])
      expect(fieldValues(hints, 'transfer-encoding')).toEqual([])
      expect(answer.body.toString()).toBe('ok')
    })

    test('HEAD to an HTTP/1.0 client ends with the head', async () => {
      proxy.backend.respond((_, connection) =>
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
      )
      const client = await proxy.connect()
      const answer = await client.request(request({ method: 'HEAD', version: 'HTTP/1.0' }))
      expect(answer.status).toBe(200)
      expect(await client.ended()).toBe('fin')
      expect(client.text).toMatch(/\r\n\r\n$/)
    })

    test('an answer of our own to HEAD has no body', async () => {
      const client = await proxy.connect()
      const answer = await client.request(
        request({ method: 'HEAD', target: '/x', fields: ['Expect: magic'] }),
      )
      expect(answer.status).toBe(417)
      await client.ended()
      expect(client.text).toMatch(/\r\n\r\n$/)
    })

    test.each(
      cases,
    )('%s: a body that is sent all the same is not forwarded, and the connection is dropped', async (_, method, status, framing) => {
      proxy.backend.respond((_, connection) =>
        connection.write(
          `HTTP/1.1 ${status} X\r\n${framing}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`,
        ),
      )
      const client = await proxy.connect()
      const body = method === 'POST' ? 'data' : undefined
      expect((await client.request(request({ method, body }))).body).toHaveLength(0)
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
      proxy.backend.respond((_, connection) => connection.write(response({ body: 'good' })))
      expect((await client.request(request())).body.toString()).toBe('good')
      expect(client.text).not.toContain('evil')
    })
  })
})
