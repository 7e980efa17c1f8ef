import { once } from 'node:events'
import tls from 'node:tls'
import { afterAll, describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../harness/certificates.ts'
import { fixture } from '../harness/fixture.ts'
import { simpleConfig, startLb } from '../harness/lb.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { rawBackend } from '../harness/raw-backend.ts'
import { RawClient, rawClient, request } from '../harness/raw-client.ts'

const proxy = fixture({ listener: { proxyProtocol: true } })

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** A version 2 header (proxy-protocol.txt §2.2). */
function v2(command: 0 | 1, family: number, addresses: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(addresses.length)
  return Buffer.concat([signature, Buffer.of(0x20 | command, family), length, addresses])
}

const ipv4 = Buffer.from([203, 0, 113, 7, 192, 0, 2, 1, 0xc3, 0x50, 0x01, 0xbb])
const ipv6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000007', 'hex'),
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from([0xc3, 0x50, 0x01, 0xbb]),
])
const extra = Buffer.from([0x04, 0x00, 0x03, 1, 2, 3])

const good: readonly [string, Buffer, string][] = [
  ['version 1, IPv4', Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n'), '203.0.113.7'],
  ['version 1, IPv6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n'), '2001:db8::7'],
  ['version 1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
  ['version 2, IPv4', v2(1, 0x11, ipv4), '203.0.113.7'],
  ['version 2, IPv6', v2(1, 0x21, ipv6), '2001:db8::7'],
  ['version 2 with more fields', v2(1, 0x11, Buffer.concat([ipv4, extra])), '203.0.113.7'],
  ['version 2, local', v2(0, 0x00, Buffer.alloc(0)), '127.0.0.1'],
]

describe('a header before the first request', () => {
  test.each(good)('%s: the backend is told the address in it', async (_, header, address) => {
    const client = await proxy.connect()
    const answer = await client.request(Buffer.concat([header, Buffer.from(request())]))
    expect(answer.status).toBe(200)
    expect(fieldValue(proxy.backend.requests[0], 'x-forwarded-for')).toBe(address)
    // It stands once per connection, not once per request.
    expect((await client.request(request())).status).toBe(200)
    expect(fieldValue(proxy.backend.requests[1], 'x-forwarded-for')).toBe(address)
  })

  test.each(good)('%s, byte by byte', async (_, header, address) => {
    const client = await proxy.connect()
    await client.writeSlowly(Buffer.concat([header, Buffer.from(request())]))
    expect((await client.response()).status).toBe(200)
    expect(fieldValue(proxy.backend.requests[0], 'x-forwarded-for')).toBe(address)
  })

  test.each([
    ['none', Buffer.alloc(0)],
    ['another word', Buffer.from('PROXI TCP4 1.2.3.4 5.6.7.8 1 2\r\n')],
    ['a bad address', Buffer.from('PROXY TCP4 1.2.3.400 5.6.7.8 1 2\r\n')],
    ['a bad port', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n')],
    ['a bare LF', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n')],
    ['a line without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
    ['version 3', Buffer.concat([signature, Buffer.from([0x31, 0x11, 0, 12]), ipv4])],
    ['an unknown command', Buffer.concat([signature, Buffer.from([0x2f, 0x11, 0, 12]), ipv4])],
    ['addresses that are too short', v2(1, 0x11, ipv4.subarray(0, 8))],
  ])('malformed is not served: %s', async (_, header) => {
    const client = await proxy.connect()
    client.write(Buffer.concat([header, Buffer.from(request())]))
    expect(await client.ended()).not.toBe('open')
    expect(proxy.backend.requests).toHaveLength(0)
  })
})

test('on a listener that does not expect it, it is a malformed request', async () => {
  const backend = await rawBackend()
  const lb = await startLb(simpleConfig([backend]))
  const client = await rawClient(lb.port)
  client.write(`PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n${request()}`)
  expect((await client.response()).status).toBe(400)
  expect(backend.requests).toHaveLength(0)
})

describe('with TLS', () => {
  const authority = createCertificateAuthority()
  afterAll(() => authority.dispose())

  test('stands before the handshake', async () => {
    const { cert, key } = authority.server(['localhost'])
    const backend = await rawBackend()
    const lb = await startLb(
      simpleConfig([backend], { listener: { proxyProtocol: true, tls: { cert, key } } }),
    )
    const plain = await rawClient(lb.port)
    plain.write(good[0][1])
    plain.socket.removeAllListeners('data')
    const socket = tls.connect({ socket: plain.socket, ca: authority.ca, servername: 'localhost' })
    const client = new RawClient(socket)
    await once(socket, 'secureConnect')
    expect((await client.request(request())).status).toBe(200)
    expect(fieldValue(backend.requests[0], 'x-forwarded-for')).toBe('203.0.113.7')
    expect(fieldValue(backend.requests[0], 'x-forwarded-proto')).toBe('https')
  })
})
