import { once } from 'node:events'
import net from 'node:net'
import type tls from 'node:tls'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { reusedLb, simpleConfig, startLb } from '../harness/lb.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const serve = reusedLb()

const authority = createCertificateAuthority()
afterAll(() => authority.dispose())
const local = authority.server(['localhost', '127.0.0.1'])
const shop = authority.server(['shop.example', '*.shop.example'])
const { ca } = authority

const pair = ({ cert, key }: { cert: string; key: string }): { cert: string; key: string } => ({ cert, key })

function subject(client: RawClient): string {
  return (client.socket as tls.TLSSocket).getPeerCertificate().subjectaltname ?? ''
}

describe('termination', () => {
  test('serves HTTP over TLS and says so to the backend', async () => {
    const backend = await rawBackend()
    const lb = await serve(simpleConfig([backend], { listener: { tls: pair(local) } }))
    const client = await rawClient(lb.port, {
      tls: { ca, servername: 'localhost', ALPNProtocols: ['h2', 'http/1.1'] },
    })
    expect((client.socket as tls.TLSSocket).alpnProtocol).toBe('http/1.1')
    for (let i = 0; i < 3; i++) expect((await client.request(request())).status).toBe(200)
    expect(fieldValue(backend.requests[0], 'x-forwarded-proto')).toBe('https')
    expect(backend.connections).toHaveLength(1)
  })

  test('chooses the certificate by server name, else the first', async () => {
    const backend = await rawBackend()
    const lb = await serve(
      simpleConfig([backend], { listener: { tls: { ...pair(local), certificates: [pair(shop)] } } }),
    )
    const names: Record<string, string> = {}
    for (const servername of [
      'localhost',
      'shop.example',
      'a.shop.example',
      'A.Shop.Example',
      'other.example',
      '',
    ]) {
      const client = await rawClient(lb.port, { tls: { ca, servername, rejectUnauthorized: false } })
      names[servername] = subject(client).includes('shop.example') ? 'shop' : 'local'
    }
    expect(names).toEqual({
      localhost: 'local',
      'shop.example': 'shop',
      'a.shop.example': 'shop',
      'A.Shop.Example': 'shop',
      'other.example': 'local',
      '': 'local',
    })
  })

  test('takes new certificates without a restart; open connections go on', async () => {
    const backend = await rawBackend()
    const config = (one: { cert: string; key: string }) =>
      simpleConfig([backend], { listener: { tls: pair(one) } })
    const lb = await serve(config(local))
    const before = await rawClient(lb.port, { tls: { ca, servername: 'localhost' } })
    await before.request(request())
    await lb.apply(config(shop))
    const after = await rawClient(lb.port, { tls: { ca, servername: 'shop.example' } })
    expect(subject(after)).toContain('shop.example')
    expect((await after.request(request())).status).toBe(200)
    expect((await before.request(request())).status).toBe(200)
  })

  test('refuses old protocol versions', async () => {
    const backend = await rawBackend()
    const lb = await serve(
      simpleConfig([backend], { listener: { tls: { ...pair(local), minVersion: 'TLSv1.3' } } }),
    )
    await expect(
      rawClient(lb.port, { tls: { ca, servername: 'localhost', maxVersion: 'TLSv1.2' } }),
    ).rejects.toThrow()
    const client = await rawClient(lb.port, { tls: { ca, servername: 'localhost' } })
    expect((await client.request(request())).status).toBe(200)
  })

  test('ends a handshake that does not come to its end', async () => {
    const backend = await rawBackend()
    const lb = await serve(
      simpleConfig([backend], { listener: { tls: pair(local) }, limits: { tlsHandshake: '300ms' } }),
    )
    const client = await rawClient(lb.port)
    client.write('\x16\x03\x01\x00')
    expect(await client.ended()).not.toBe('open')
  })

  test('ends a connection that speaks plain HTTP, and goes on', async () => {
    const backend = await rawBackend()
    const lb = await serve(simpleConfig([backend], { listener: { tls: pair(local) } }))
    const plain = await rawClient(lb.port)
    plain.write(request())
    expect(await plain.ended()).not.toBe('open')
    expect(backend.requests).toHaveLength(0)
    const client = await rawClient(lb.port, { tls: { ca, servername: 'localhost' } })
    expect((await client.request(request())).status).toBe(200)
  })

  test('sessions are resumed whichever thread accepts the connection', async () => {
    const backend = await rawBackend()
    const lb = await startLb(
      simpleConfig([backend], { node: { threads: 2 }, listener: { tls: pair(local) } }),
    )
    const first = await rawClient(lb.port, { tls: { ca, servername: 'localhost' } })
    const ticket = once(first.socket, 'session')
    await first.request(request())
    const [session] = (await ticket) as [Buffer]
    const reused: boolean[] = []
    for (let i = 0; i < 12; i++) {
      const client = await rawClient(lb.port, { tls: { ca, servername: 'localhost', session } })
      reused.push((client.socket as tls.TLSSocket).isSessionReused())
      await client.request(request())
    }
    expect(reused).toEqual(Array(12).fill(true))
  })

  test('a client that is gone in the handshake leaves nothing behind', async () => {
    const backend = await rawBackend()
    const lb = await serve(simpleConfig([backend], { listener: { tls: pair(local) } }))
    for (let i = 0; i < 20; i++) {
      const socket = net.connect(lb.port, '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      await once(socket, 'connect')
      socket.write('\x16\x03\x01')
      socket.resetAndDestroy()
    }
    const client = await rawClient(lb.port, { tls: { ca, servername: 'localhost' } })
    expect((await client.request(request())).status).toBe(200)
  })

  test('an answer cut short is not ended as if whole', async () => {
    const backend = await rawBackend((_, connection) => connection.write('HTTP/1.1 200 OK\r\n\r\npart of it'))
    const lb = await serve(simpleConfig([backend], { listener: { tls: pair(local) } }))
    const client = await rawClient(lb.port, { tls: { ca, servername: 'localhost' } })
    client.write(request({ version: 'HTTP/1.0' }))
    await until('the client saw a part', () => client.text.includes('part of it'))
    backend.connections[0].abort()
    expect(await client.ended()).toBe('reset')
  })
})

describe('to backends', () => {
  const secure = { tls: pair(local) }

  test('verifies the certificate', async () => {
    const backend = await rawBackend(undefined, secure)
    const lb = await serve(simpleConfig([backend]))
    const client = await rawClient(lb.port)
    const answer = await client.request(request())
    expect(answer.status).toBe(502)
    expect(answer.body.toString()).toContain('MR_CONNECT')
    expect(backend.requests).toHaveLength(0)
  })

  test('trusts the CA of the service', async () => {
    const backend = await rawBackend(undefined, secure)
    const lb = await serve(simpleConfig([backend], { service: { tls: { ca } } }))
    const client = await rawClient(lb.port)
    for (let i = 0; i < 3; i++) expect((await client.request(request())).status).toBe(200)
    expect(backend.connections).toHaveLength(1)
  })

  test('refuses a certificate for another name', async () => {
    const backend = await rawBackend(undefined, { tls: pair(shop) })
    const lb = await serve(simpleConfig([backend], { service: { tls: { ca } } }))
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(502)
  })

  test('asks for and verifies the configured server name', async () => {
    const backend = await rawBackend(undefined, { tls: pair(shop) })
    const lb = await serve(simpleConfig([backend], { service: { tls: { ca, serverName: 'shop.example' } } }))
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(200)
    expect((backend.connections[0].socket as tls.TLSSocket).servername).toBe('shop.example')
  })

  test('verification can be turned off', async () => {
    const backend = await rawBackend(undefined, { tls: pair(shop) })
    const lb = await serve(simpleConfig([backend], { service: { tls: { verify: false } } }))
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(200)
  })

  test('shows a client certificate', async () => {
    const own = authority.client('millrace')
    const backend = await rawBackend(undefined, {
      tls: { ...pair(local), ca, requestCert: true, rejectUnauthorized: true },
    })
    const lb = await serve(simpleConfig([backend], { service: { tls: { ca, ...pair(own) } } }))
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(200)
    expect((backend.connections[0].socket as tls.TLSSocket).getPeerCertificate().subject.CN).toBe('millrace')
  })

  test('a handshake that never ends falls under the connect timeout', async () => {
    const silent = net.createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as net.AddressInfo
    const timeouts = { connect: '300ms' }
    const lb = await serve(
      simpleConfig([`https://127.0.0.1:${port}`], { service: { timeouts, tls: { ca } } }),
    )
    const client = await rawClient(lb.port)
    const answer = await client.request(request())
    expect(answer.status).toBe(504)
    expect(answer.body.toString()).toContain('MR_CONNECT_TIMEOUT')
  })

  test('replays a request whose kept-alive connection was closed', async () => {
    const backend = await rawBackend((_, connection) => {
      if (connection.requests.length === 1) connection.write(response({ body: 'ok' }))
      else connection.end()
    }, secure)
    const lb = await serve(simpleConfig([backend], { service: { tls: { ca }, retries: { attempts: 0 } } }))
    const client = await rawClient(lb.port)
    await client.request(request())
    expect((await client.request(request())).status).toBe(200)
  })
})
