import { describe, expect, test } from 'vitest'
import { fixture, ways } from '../harness/fixture.ts'
import { response } from '../harness/raw-backend.ts'
import { request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

describe.each(ways)('%s', (_, filters) => {
  const proxy = fixture({ service: { timeouts: { idle: '150ms' } } }, filters)

  const starts: readonly [string, string][] = [
    ['Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart of it'],
    ['chunked, inside a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\npart of it'],
    ['chunked, between chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\npart of it\r\n'],
    [
      'chunked, before the last CRLF',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\npart of it\r\n0\r\n',
    ],
  ]

  const endings = ['FIN', 'RST', 'silence'] as const

  describe.each(starts)('a response body that ends early: %s', (_, bytes) => {
    describe.each(endings)('by %s', (ending) => {
      test.each(['HTTP/1.1', 'HTTP/1.0'])('aborts the client (%s)', async (version) => {
        proxy.backend.respond((_, connection) => connection.write(bytes))
        const client = await proxy.connect()
        client.write(request({ version }))
        await until('the client saw a part', () => client.text.includes('part of it'))
        const [connection] = proxy.backend.connections
        if (ending === 'FIN') connection.end()
        else if (ending === 'RST') connection.abort()
        const how = await client.ended()
        expect(client.responses).toEqual([])
        expect(client.text.endsWith('0\r\n\r\n')).toBe(false)
        // Only an RST tells an HTTP/1.0 client whose body lasts until the end of the connection that it is not whole.
        const delimited = /\r\n(content-length|transfer-encoding):/i.test(client.text)
        expect(delimited ? ['fin', 'reset'] : ['reset']).toContain(how)
        await until('the backend connection is closed', () => proxy.backend.open.length === 0)
      })
    })
  })

  describe('a response that lasts until the connection is closed', () => {
    const head = 'HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n'

    test('is whole when the backend sends FIN', async () => {
      proxy.backend.respond((_, connection) => connection.end(`${head}all of it`))
      const client = await proxy.connect()
      const answer = await client.request(request())
      expect(answer.body.toString()).toBe('all of it')
      const old = await proxy.connect()
      const oldAnswer = await old.request(request({ version: 'HTTP/1.0' }))
      expect(oldAnswer.framing).toBe('close')
      expect(oldAnswer.body.toString()).toBe('all of it')
      expect(await old.ended()).toBe('fin')
    })

    test.each(['RST', 'silence'])('cut short by %s it ends in a reset, never in a FIN', async (ending) => {
      for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
        proxy.backend.respond((_, connection) => connection.write(`${head}part of it`))
        const client = await proxy.connect()
        client.write(request({ version }))
        await until('the client saw a part', () => client.text.includes('part of it'))
        if (ending === 'RST') proxy.backend.connections.at(-1)?.abort()
        expect(await client.ended()).toBe('reset')
        expect(client.responses).toEqual([])
      }
    })
  })

  test('a FIN where the length was reached ends nothing but the connection', async () => {
    proxy.backend.respond((_, connection) => connection.end(response({ body: 'whole' })))
    const client = await proxy.connect()
    expect((await client.request(request())).body.toString()).toBe('whole')
    expect((await client.request(request())).body.toString()).toBe('whole')
  })
})
