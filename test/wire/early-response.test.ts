import { describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { fixture } from '../harness/fixture.ts'
import { simpleConfig, startLb } from '../harness/lb.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

/** Writes until the peer closes or `total` bytes are written; a real uploader that reads only afterwards. */
async function upload(client: RawClient, total: number): Promise<number> {
  const piece = Buffer.alloc(16_384, 'u')
  let written = 0
  while (written < total && !client.socket.destroyed && client.socket.writable && client.ending !== 'reset') {
    const room = client.socket.write(piece)
    written += piece.length
    if (!room) {
      await until('the socket drained or closed', () => {
        return client.socket.destroyed || !client.socket.writableNeedDrain || client.ending === 'reset'
      })
    }
  }
  return written
}

describe('a response that comes while the request is still being sent', () => {
  const proxy = fixture({ service: { retries: { attempts: 0 } } })

  test('is forwarded, and the upstream connection is not reused', async () => {
    proxy.backend.script = {
      onHead: ({ method }, connection) => {
        if (method === 'POST') connection.write(response({ status: 401, body: 'who are you' }))
      },
      onRequest: ({ method }, connection) => {
        if (method === 'GET') connection.write(response({ body: 'ok' }))
      },
    }
    const client = await proxy.connect()
    client.write(request({ method: 'POST', fields: ['Content-Length: 50000'] }))
    client.write('x'.repeat(100))
    const answer = await client.response()
    expect(answer.status).toBe(401)
    expect(answer.body.toString()).toBe('who are you')
    await until('the backend connection is closed', () => proxy.backend.connections[0].closed)
    const other = await proxy.connect()
    expect((await other.request(request())).status).toBe(200)
    expect(proxy.backend.connections).toHaveLength(2)
  })

  test('reaches the client although the backend closes its side at once', async () => {
    proxy.backend.script = {
      onHead: (_, connection) => connection.end(response({ status: 413, body: 'too much' })),
    }
    for (let i = 0; i < 10; i++) {
      const client = await proxy.connect()
      client.write(request({ method: 'POST', fields: ['Content-Length: 100000000'] }))
      await upload(client, 200_000)
      expect((await client.response()).status).toBe(413)
    }
  })

  test('reaches a client that goes on uploading', async () => {
    proxy.backend.script = {
      onHead: (_, connection) => connection.write(response({ status: 413, body: 'too much' })),
    }
    const client = await proxy.connect()
    client.write(request({ method: 'POST', fields: ['Content-Length: 100000000'] }))
    const sent = await upload(client, 200_000).catch(() => 0)
    expect(sent).toBeGreaterThan(0)
    const answer = await client.response()
    expect(answer.status).toBe(413)
    expect(answer.body.toString()).toBe('too much')
  })
})

describe('after an early answer of our own', () => {
  const proxy = fixture({ limits: { body: '64KiB' } })
  const tooLarge = request({ method: 'POST', fields: ['Content-Length: 100000000'] })

  test('the client can read it although it went on uploading', async () => {
    for (let i = 0; i < 20; i++) {
      const client = await proxy.connect()
      client.write(tooLarge)
      await upload(client, 200_000)
      const answer = await client.response()
      expect(answer.status).toBe(413)
      expect(answer.body.toString()).toContain('MR_BODY_TOO_LARGE')
    }
    expect(proxy.backend.requests).toHaveLength(0)
  })

  test('the proxy half-closes at once', async () => {
    const client = await proxy.connect()
    client.write(tooLarge)
    expect((await client.response()).status).toBe(413)
    await until('a FIN came', () => client.ending === 'fin')
  })

  test('no more than 256 KiB and what the buffers hold are read from it', async () => {
    const client = await proxy.connect()
    client.write(tooLarge)
    await upload(client, 100_000_000)
    await until('the connection is gone', () => client.socket.destroyed || client.ending !== 'open')
    // Socket buffers of both ends hold some megabytes; a proxy that reads on would take all of it.
    expect(client.socket.bytesWritten - client.socket.writableLength).toBeLessThan(20_000_000)
  })

  test('a client that sends nothing more is let go after two seconds', async () => {
    const client = await proxy.connect()
    client.write(tooLarge)
    expect((await client.response()).status).toBe(413)
    const from = performance.now()
    await until(
      'the socket is closed',
      () => client.closed || client.ending === 'reset' || writeFails(client),
    )
    expect(performance.now() - from).toBeLessThan(5_000)
  })
})

test('under TLS a client that sends nothing more is let go after two seconds too', async () => {
  using authority = createCertificateAuthority()
  const { cert, key } = authority.server(['localhost'])
  const backend = await rawBackend()
  const lb = await startLb(
    simpleConfig([backend], { limits: { body: '64KiB' }, listener: { tls: { cert, key } } }),
  )
  const client = await rawClient(lb.port, { tls: { ca: authority.ca, servername: 'localhost' } })
  client.write(request({ method: 'POST', fields: ['Content-Length: 100000000'] }))
  expect((await client.response()).status).toBe(413)
  const from = performance.now()
  await until('the socket is closed', () => client.closed || client.ending === 'reset' || writeFails(client))
  expect(performance.now() - from).toBeLessThan(5_000)
})

/** Writing to a connection that the proxy has destroyed is answered with RST. */
function writeFails(client: RawClient): boolean {
  if (client.socket.writable) client.socket.write('x')
  return client.ending === 'reset'
}
