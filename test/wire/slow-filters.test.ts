import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { chunked, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const serve = reusedLb({ directory })
const settings = {
  plugins: ['./plugins/slow-answer.ts'],
  service: { filters: ['slow-answer'], retries: { attempts: 0 } },
}
const large = 'x'.repeat(1_000_000)

const whole: readonly [string, Buffer, string][] = [
  ['a length', response({ body: 'hello' }), 'hello'],
  ['a length, large', response({ body: large }), large],
  ['chunks', response({ fields: ['Transfer-Encoding: chunked'], body: chunked(['hel', 'lo']) }), 'hello'],
  ['the end of the connection', Buffer.from('HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello'), 'hello'],
  ['the end of the connection, large', Buffer.from(`HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n${large}`), large],
  ['the end of the connection, empty', Buffer.from('HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n'), ''],
  ['no body', response({ status: 204 }), ''],
]

describe('while a filter thinks about an answer', () => {
  describe.each(['HTTP/1.1', 'HTTP/1.0'])('to %s', (version) => {
    test.each(
      whole,
    )('framed by %s, a backend that closes takes nothing away from it', async (_, bytes, body) => {
      const backend = await rawBackend((_, connection) => connection.end(bytes))
      const lb = await serve(simpleConfig([backend], settings))
      const client = await rawClient(lb.port)
      const answer = await client.request(request({ version }))
      expect(answer.status).toBeLessThan(300)
      expect(fieldValue(answer, 'x-thought')).toBe('yes')
      expect(answer.body.toString() === body).toBe(true)
    })

    test.each(whole)('framed by %s, the end may come in a packet of its own', async (_, bytes, body) => {
      const backend = await rawBackend((_, connection) => {
        connection.write(bytes)
        setTimeout(() => connection.end(), 10)
      })
      const lb = await serve(simpleConfig([backend], settings))
      const client = await rawClient(lb.port)
      expect((await client.request(request({ version }))).body.toString() === body).toBe(true)
    })
  })

  test.each([
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello'],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ])('an answer framed by %s that is cut short is not made whole', async (_, bytes) => {
    const backend = await rawBackend((_, connection) => connection.end(bytes))
    const lb = await serve(simpleConfig([backend], settings))
    const client = await rawClient(lb.port)
    client.write(request())
    await until('the answer or the end came', () => client.ending !== 'open' || client.responses.length > 0)
    expect(client.responses.filter(({ status }) => status === 200)).toEqual([])
  })

  test('one that resets the connection does not end a body that has no other end', async () => {
    const backend = await rawBackend((_, connection) => {
      connection.write('HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello')
      setTimeout(() => connection.abort(), 10)
    })
    const lb = await serve(simpleConfig([backend], settings))
    const client = await rawClient(lb.port)
    client.write(request())
    await until('the answer or the end came', () => client.ending !== 'open' || client.responses.length > 0)
    expect(client.responses.filter(({ status }) => status === 200)).toEqual([])
  })

  test('pipelined requests of a client are answered in order', async () => {
    const backend = await rawBackend(({ target }, connection) => connection.write(response({ body: target })))
    const lb = await serve(simpleConfig([backend], settings))
    const client = await rawClient(lb.port)
    client.write(['/1', '/2', '/3'].map((target) => request({ target })).join(''))
    for (const target of ['/1', '/2', '/3']) expect((await client.response()).body.toString()).toBe(target)
  })

  test('answers that are pipelined by the backend are kept apart', async () => {
    const backend = await rawBackend(({ target }, connection) => connection.write(response({ body: target })))
    const connections = { max: 1, pipelining: 8 }
    const lb = await serve(
      simpleConfig([backend], { ...settings, service: { ...settings.service, connections } }),
    )
    const clients = await Promise.all(Array.from({ length: 8 }, () => rawClient(lb.port)))
    await Promise.all(
      clients.map(async (client, i) => {
        for (let n = 0; n < 3; n++) {
          const target = `/${i}-${n}`
          expect((await client.request(request({ target }))).body.toString()).toBe(target)
        }
      }),
    )
  })
})
