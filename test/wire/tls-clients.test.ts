/** What is different for clients under TLS: their writes are never done at once. */
import { afterAll, expect, test } from 'vitest'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const serve = reusedLb()
const authority = createCertificateAuthority()
afterAll(() => authority.dispose())
const { cert, key } = authority.server(['localhost', '127.0.0.1'])
const listener = { tls: { cert, key } }

const connect = (port: number): Promise<RawClient> =>
  rawClient(port, { tls: { ca: authority.ca, servername: 'localhost' } })

test('a stream of small pieces after a larger one is not taken for a stalled client', async () => {
  let ticks = 0
  const backend = await rawBackend((_, connection) => {
    connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    const timer = setInterval(() => {
      if (ticks === 0) connection.write(`2000\r\n${'x'.repeat(0x2000)}\r\n`)
      connection.write(ticks++ < 20 ? '1\r\n.\r\n' : '0\r\n\r\n')
      if (ticks > 20) clearInterval(timer)
    }, 50)
    connection.socket.on('close', () => clearInterval(timer))
  })
  const lb = await serve(simpleConfig([backend], { listener, limits: { writeStall: '300ms' } }))
  const client = await connect(lb.port)
  expect((await client.request(request())).body).toHaveLength(0x2000 + 20)
})

test('an answer that is still being written does not hold up the one behind it on the backend’s connection', async () => {
  const held: string[] = []
  const backend = await rawBackend(({ target }, connection) => {
    held.push(target)
    if (held.length === 2) connection.write(response({ body: Buffer.alloc(75_000, 'a') }))
  })
  const connections = { max: 1, pipelining: 4 }
  const lb = await serve(simpleConfig([backend], { listener, service: { connections } }))
  const [a, b] = [await connect(lb.port), await connect(lb.port)]
  a.expect('GET')
  a.write(request({ target: '/a' }))
  await until('the first is there', () => held.length === 1)
  b.expect('GET')
  b.write(request({ target: '/b' }))
  expect((await a.response()).body).toHaveLength(75_000)
  expect(backend.connections).toHaveLength(1)
  backend.connections[0].write(response({ body: 'for b' }))
  expect((await b.response()).body.toString()).toBe('for b')
})
