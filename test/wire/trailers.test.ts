import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { response } from '../harness/raw-backend.ts'
import { chunked, request } from '../harness/raw-client.ts'

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({}, filters)

  /** RFC 9110 §6.5.1: framing, routing, authentication, request modifiers, content format. */
  const forbidden = [
    'Authorization: x',
    'Cache-Control: x',
    'Content-Encoding: x',
    'Content-Type: x',
    'Content-Range: x',
    'Cookie: x',
    'Set-Cookie: x',
    'Expect: 100-continue',
    'Max-Forwards: 1',
    'Trailer: x',
    'Upgrade: x',
    'Connection: x',
  ]
  const allowed = ['X-Sum: abc', 'Server-Timing: a;dur=1', 'x-EMPTY:']
  const kept = [
    ['X-Sum', 'abc'],
    ['Server-Timing', 'a;dur=1'],
    ['x-EMPTY', ''],
  ]

  function chunkedRequest(trailers: readonly string[]): string {
    const fields = ['Transfer-Encoding: chunked', 'Trailer: X-Sum']
    return request({ method: 'POST', fields, body: chunked(['hello'], trailers) })
  }

  describe('trailers', () => {
    test('of requests pass through, forbidden ones are dropped', async () => {
      const client = await proxy.connect()
      expect((await client.request(chunkedRequest([...forbidden, ...allowed]))).status).toBe(200)
      const [seen] = proxy.backend.requests
      expect(seen.trailers).toEqual(kept)
      expect(seen.fields.map(([name]) => name.toLowerCase())).not.toContain('x-sum')
      expect(seen.body.toString()).toBe('hello')
    })

    test('of responses pass through, forbidden ones are dropped', async () => {
      proxy.backend.respond((_, connection) => {
        const body = chunked(['hello'], [...forbidden, ...allowed])
        connection.write(response({ fields: ['Transfer-Encoding: chunked', 'Trailer: X-Sum'], body }))
      })
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(answer.trailers).toEqual(kept)
      expect(answer.fields.map(([name]) => name.toLowerCase())).not.toContain('x-sum')
      expect(answer.body.toString()).toBe('hello')
    })

    test('split byte by byte arrive whole', async () => {
      const client = await proxy.connect()
      await client.writeSlowly(chunkedRequest(allowed))
      expect((await client.response()).status).toBe(200)
      expect(proxy.backend.requests[0].trailers).toEqual(kept)
    })

    test('are not sent to HTTP/1.0 clients', async () => {
      proxy.backend.respond((_, connection) =>
        connection.write(
          response({ fields: ['Transfer-Encoding: chunked'], body: chunked(['hello'], allowed) }),
        ),
      )
      const client = await proxy.connect()
      const answer = await client.request(request({ version: 'HTTP/1.0' }))
      expect(answer.body.toString()).toBe('hello')
      expect(client.text).not.toContain('X-Sum')
    })

    test('more than the limits of a head allow end the request', async () => {
      const client = await proxy.connect()
      const many = Array.from({ length: 200 }, (_, i) => `X-T${i}: ${i}`)
      client.write(chunkedRequest(many))
      expect(await client.ended()).not.toBe('open')
      expect(proxy.backend.requests).toHaveLength(0)
    })
  })
})
