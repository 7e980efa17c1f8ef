import { afterAll, describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { type BackendConnection, rawBackend, response } from '../harness/raw-backend.ts'
import { type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const serve = reusedLb()
const authority = createCertificateAuthority()
afterAll(() => authority.dispose())
const { cert, key } = authority.server(['localhost', '127.0.0.1'])

/** More than the socket buffers of all four ends hold together. */
const total = 60_000_000
/** What the kernel's buffers and ours may take of it. */
const bound = 30_000_000

type Socket = RawClient['socket']

/** Writes as fast as the peer takes it; resolves when all is written. Nothing but one piece is held here. */
async function pour(socket: Socket): Promise<void> {
  const piece = Buffer.alloc(262_144, 'p')
  for (let left = total; left > 0; left -= piece.length) {
    if (!socket.write(piece.subarray(0, Math.min(left, piece.length)))) {
      await new Promise((resolve) => socket.once('drain', resolve))
    }
  }
}

/** Waits until the writer has not got on for a while, and gives what it got rid of. */
async function stuck(socket: Socket): Promise<number> {
  let last = -1
  let since = performance.now()
  return until('the writer is held back', () => {
    const sent = socket.bytesWritten - socket.writableLength
    if (sent !== last) {
      last = sent
      since = performance.now()
    }
    return sent > 0 && performance.now() - since > 300 ? sent : undefined
  })
}

describe.each(['plain', 'TLS'])('a peer that does not read holds the other one back (%s)', (kind) => {
  const secure = kind === 'TLS'
  const settings = secure ? { listener: { tls: { cert, key } }, service: { tls: { ca: authority.ca } } } : {}
  const options = { record: false, ...(secure ? { tls: { cert, key } } : {}) }
  const tls = secure ? { ca: authority.ca, servername: 'localhost' } : undefined

  test('a client that does not read its answer', async () => {
    const backend = await rawBackend((_, connection) => {
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
      void pour(connection.socket)
    }, options)
    const lb = await serve(simpleConfig([backend], settings))
    const client = await rawClient(lb.port, { tls })
    client.socket.pause()
    client.write(request())
    await until('the answer has begun', () => backend.requests.length === 1)
    expect(await stuck(backend.connections[0].socket)).toBeLessThan(bound)
    client.socket.resume()
    expect((await client.response()).body).toHaveLength(total)
  })

  test('a backend that does not read a request', async () => {
    let held: BackendConnection | undefined
    const backend = await rawBackend(
      {
        onConnection: (connection) => {
          held = connection
          connection.socket.pause()
        },
        onRequest: (seen, connection) => connection.write(response({ body: `${seen.body.length}` })),
      },
      options,
    )
    const lb = await serve(simpleConfig([backend], settings))
    const client = await rawClient(lb.port, { tls })
    client.write(request({ method: 'POST', fields: [`Content-Length: ${total}`] }))
    const poured = pour(client.socket)
    expect(await stuck(client.socket)).toBeLessThan(bound)
    held?.socket.resume()
    await poured
    expect((await client.response()).body.toString()).toBe(`${total}`)
  })
})
