import { describe, expect, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { type BackendConnection, response } from '../harness/raw-backend.ts'
import { type RawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const proxy = fixture({ service: { upgrades: ['websocket', 'chat'], retries: { attempts: 0 } } })

const switching = (protocol: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nX-Accept: yes\r\n\r\n`
const handshake = request({ fields: ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: abc'] })

/** The backend switches at once and collects raw bytes in `reader.raw`. */
function switchAtOnce(protocol = 'websocket', first = ''): void {
  proxy.backend.script = {
    onHead: (_, connection) => {
      connection.reader.takeRaw()
      connection.write(switching(protocol) + first)
    },
  }
}

async function tunnel(protocol = 'websocket', extra = ''): Promise<[RawClient, BackendConnection]> {
  switchAtOnce(protocol)
  const client = await proxy.connect()
  client.write(handshake.replace('websocket', protocol) + extra)
  await until('the client saw the 101', () => client.reader.messages.length === 1)
  return [client, proxy.backend.connections[0]]
}

describe('an upgrade to an allowed protocol', () => {
  test('becomes a tunnel after the 101', async () => {
    const [client, connection] = await tunnel()
    const [answer] = client.reader.messages
    expect(answer.status).toBe(101)
    expect(fieldValue(answer, 'upgrade')).toBe('websocket')
    expect(fieldValue(answer, 'connection')).toMatch(/upgrade/i)
    expect(fieldValue(answer, 'x-accept')).toBe('yes')
    const [seen] = proxy.backend.requests
    expect(fieldValue(seen, 'upgrade')).toBe('websocket')
    expect(fieldValue(seen, 'connection')).toMatch(/upgrade/i)
    expect(fieldValue(seen, 'sec-websocket-key')).toBe('abc')
    client.write('to\0\r\n\r\nbackend')
    connection.write('to client GET / HTTP/1.1\r\n\r\n')
    await until('the backend got it', () => connection.reader.raw.toString() === 'to\0\r\n\r\nbackend')
    await until(
      'the client got it',
      () => client.reader.raw.toString() === 'to client GET / HTTP/1.1\r\n\r\n',
    )
  })

  test('passes on what was sent right behind the heads', async () => {
    switchAtOnce('websocket', 'early from backend')
    const client = await proxy.connect()
    client.write(`${handshake}early from client`)
    await until('the client got it', () => client.reader.raw.toString() === 'early from backend')
    await until('the backend got it', () => {
      return proxy.backend.connections[0].reader.raw.toString() === 'early from client'
    })
  })

  test('sends nothing of the client to the backend before its 101', async () => {
    proxy.backend.script = { onHead: (_, connection) => connection.reader.takeRaw() }
    const client = await proxy.connect()
    client.write(`${handshake}early`)
    await until('the head reached the backend', () => proxy.backend.requests.length === 1)
    const [connection] = proxy.backend.connections
    expect(connection.reader.raw).toHaveLength(0)
    connection.write(switching('websocket'))
    await until('the early bytes followed', () => connection.reader.raw.toString() === 'early')
  })

  test('carries large amounts both ways, whole', async () => {
    const [client, connection] = await tunnel()
    const up = Buffer.alloc(3_000_000, 'u')
    const down = Buffer.alloc(3_000_000, 'd')
    client.write(up)
    connection.write(down)
    await until(
      'all arrived',
      () => connection.received.length >= up.length && client.received.length >= down.length,
    )
    await until('up is whole', () => connection.reader.raw.equals(up))
    await until('down is whole', () => client.reader.raw.equals(down))
  })

  test('half-closes one way at a time', async () => {
    const [client, connection] = await tunnel()
    connection.halfOpen = true
    client.write('last words')
    client.end()
    await until('the backend saw the end', () => connection.ended)
    expect(connection.reader.raw.toString()).toBe('last words')
    connection.write('still here')
    await until('the client heard it', () => client.reader.raw.toString() === 'still here')
    connection.end()
    expect(await client.ended()).toBe('fin')
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })

  test('ends at the backend when the client is gone', async () => {
    const [client] = await tunnel()
    client.abort()
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })

  test('ends at the client when the backend is gone', async () => {
    const [client, connection] = await tunnel()
    connection.abort()
    expect(await client.ended()).not.toBe('open')
  })

  test('works for other protocols of the service', async () => {
    const [client] = await tunnel('chat')
    expect(client.reader.messages[0].status).toBe(101)
  })

  test('a pooled connection is not used for the next request after a tunnel', async () => {
    const [client] = await tunnel()
    client.abort()
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
    proxy.backend.respond((_, connection) => connection.write(response({ body: 'ok' })))
    const next = await proxy.connect()
    expect((await next.request(request())).body.toString()).toBe('ok')
  })
})

describe('a request with a body that asks for an upgrade', () => {
  test('sends its body first, then becomes a tunnel', async () => {
    proxy.backend.script = {
      onRequest: (_, connection) => {
        connection.reader.takeRaw()
        connection.write(switching('websocket'))
      },
    }
    const client = await proxy.connect()
    const fields = ['Connection: Upgrade', 'Upgrade: websocket']
    client.write(`${request({ method: 'POST', fields, body: 'hello' })}early`)
    await until('the client saw the 101', () => client.reader.messages.length === 1)
    const [connection] = proxy.backend.connections
    expect(connection.requests[0].body.toString()).toBe('hello')
    await until('the early bytes followed', () => connection.reader.raw.toString() === 'early')
  })
})

describe('a refused upgrade', () => {
  test('leaves what was sent behind it to be the next request', async () => {
    proxy.backend.respond(({ target }, connection) => connection.write(response({ body: target })))
    const client = await proxy.connect()
    client.write(handshake + request({ target: '/next' }))
    expect((await client.response()).body.toString()).toBe('/')
    expect((await client.response()).body.toString()).toBe('/next')
  })

  test('is an ordinary answer, and both connections go on', async () => {
    proxy.backend.respond((_, connection) => connection.write(response({ status: 403, body: 'no' })))
    const client = await proxy.connect()
    const answer = await client.request(handshake)
    expect(answer.status).toBe(403)
    expect(answer.body.toString()).toBe('no')
    expect((await client.request(request())).status).toBe(403)
    client.end()
    expect(await client.ended()).toBe('fin')
    expect(proxy.backend.open.length).toBeLessThanOrEqual(1)
  })

  test('leaks no socket, however often', async () => {
    proxy.backend.respond((_, connection) => connection.write(response({ status: 400, body: 'no' })))
    for (let i = 0; i < 20; i++) {
      const client = await proxy.connect()
      await client.request(handshake)
      client.abort()
    }
    expect(proxy.backend.open.length).toBeLessThanOrEqual(2)
  })
})

describe('an upgrade that is not allowed', () => {
  test.each([
    ['another protocol', ['Connection: Upgrade', 'Upgrade: irc']],
    ['h2c', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']],
    ['no Connection: upgrade', ['Upgrade: websocket']],
  ])('is stripped: %s', async (_, fields) => {
    const client = await proxy.connect()
    expect((await client.request(request({ fields }))).status).toBe(200)
    const [seen] = proxy.backend.requests
    expect(fieldValue(seen, 'upgrade')).toBeUndefined()
    expect(fieldValue(seen, 'http2-settings')).toBeUndefined()
    expect(fieldValue(seen, 'connection') ?? '').not.toMatch(/upgrade/i)
  })

  test('of HTTP/1.0 is stripped', async () => {
    const client = await proxy.connect()
    await client.request(handshake.replace('HTTP/1.1', 'HTTP/1.0'))
    expect(fieldValue(proxy.backend.requests[0], 'upgrade')).toBeUndefined()
  })

  test('in a list leaves the allowed ones', async () => {
    const client = await proxy.connect()
    await client.request(handshake.replace('Upgrade: websocket', 'Upgrade: h2c, websocket, irc'))
    expect(fieldValue(proxy.backend.requests[0], 'upgrade')).toBe('websocket')
  })

  test('101 to a protocol that was not offered is a 502 and no tunnel', async () => {
    proxy.backend.script = {
      onHead: (_, connection) => {
        connection.reader.takeRaw()
        connection.write(switching('irc'))
      },
    }
    const client = await proxy.connect()
    expect((await client.request(handshake)).status).toBe(502)
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })
})
