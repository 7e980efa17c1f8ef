import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { response } from '../harness/raw-backend.ts'
import { chunked, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({ service: { retries: { attempts: 0 } } }, filters)

  describe('a request with Content-Length and Transfer-Encoding', () => {
    const orders = [
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked', 'Content-Length: 5'],
      ['content-length: 0', 'transfer-encoding: Chunked'],
    ]
    test.each(orders)('is refused and the connection closed: %s, %s', async (...fields) => {
      const client = await proxy.connect()
      const answer = await client.request(request({ method: 'POST', fields, body: chunked(['hello']) }))
      expect(answer.status).toBe(400)
      expect(await client.ended()).not.toBe('open')
      expect(proxy.backend.requests).toHaveLength(0)
    })
  })

  /** Heads that another reader could frame differently, or not at all. */
  const badHeads: readonly [string, string][] = [
    [
      'Content-Length beside Transfer-Encoding',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    ],
    [
      'Transfer-Encoding beside Content-Length',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n',
    ],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n'],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n'],
    ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n'],
    ['an empty length', 'HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n'],
    ['a length over 2^53', 'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\n'],
    ['an unknown coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n'],
    ['a list of codings', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n'],
    ['xchunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n'],
    ['a coding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n'],
    ['a bare LF between fields', 'HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 5\r\n\r\n'],
    ['a bare CR', 'HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\nContent-Length: 5\r\n\r\n'],
    ['NUL', 'HTTP/1.1 200 OK\r\nX-A: 1\0\r\nContent-Length: 5\r\n\r\n'],
    ['obs-fold', 'HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 5\r\n\r\n'],
    ['space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n'],
    ['no colon', 'HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 5\r\n\r\n'],
    ['Content_Length', 'HTTP/1.1 200 OK\r\nContent_Length: 5\r\n\r\n'],
    ['another version', 'HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\n'],
    ['a status that is no number', 'HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\n'],
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ]

  describe('a response that cannot be read in one way only', () => {
    test.each(badHeads)('%s: 502, and that connection is closed', async (_, head) => {
      proxy.backend.respond((_, connection) => connection.write(`${head}hello`))
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(answer.status).toBe(502)
      expect(answer.body.toString()).toContain('MR_UPSTREAM_INVALID')
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
      // The client's connection is sound: the next request on it is answered over another upstream connection.
      proxy.backend.respond((_, connection) => connection.write(response({ body: 'again' })))
      expect((await client.request(request())).body.toString()).toBe('again')
    })

    test('a head without end: 502', async () => {
      proxy.backend.respond((_, connection) => {
        connection.write(`HTTP/1.1 200 OK\r\n${`X-Filler: ${'x'.repeat(1000)}\r\n`.repeat(80)}`)
      })
      const client = await proxy.connect()
      expect((await client.request(request())).status).toBe(502)
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
    })
  })

  const badChunks: readonly [string, string][] = [
    ['an empty size', '\r\nhello\r\n0\r\n\r\n'],
    ['a signed size', '+5\r\nhello\r\n0\r\n\r\n'],
    ['0x', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a space', '5 \r\nhello\r\n0\r\n\r\n'],
    ['an overflow', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF', '5\nhello\r\n0\r\n\r\n'],
    ['data that is too long', '5\r\nhello!\r\n0\r\n\r\n'],
    ['a length in the trailers', '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n'],
  ]

  describe('a chunked response that breaks', () => {
    test.each(badChunks)('on %s: the client is aborted, never given an end', async (_, body) => {
      proxy.backend.respond((_, connection) =>
        connection.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n${body}`),
      )
      const client = await proxy.connect()
      client.write(request())
      expect(await client.ended()).not.toBe('open')
      // Where nothing had been sent yet a 502 is as good; a complete 200 is not.
      expect(client.responses.map(({ status }) => status).filter((status) => status !== 502)).toEqual([])
      await until('the backend connection is closed', () => proxy.backend.open.length === 0)
    })
  })

  test.each([
    ['Content-Length: 9', 'some data'],
    ['Transfer-Encoding: chunked', chunked(['some', ' data'])],
  ])('a body framed by %s arrives whole in both directions', async (framing, body) => {
    proxy.backend.respond((_, connection) => connection.write(response({ fields: [framing], body })))
    const client = await proxy.connect()
    const answer = await client.request(request({ method: 'POST', fields: [framing], body }))
    expect(answer.body.toString()).toBe('some data')
    expect(proxy.backend.requests[0].body.toString()).toBe('some data')
  })
})
