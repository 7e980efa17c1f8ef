import { describe, expect, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { reusedLb, simpleConfig, startLb } from '../harness/lb.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { type BackendConnection, rawBackend, response } from '../harness/raw-backend.ts'
import { chunked, type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const serve = reusedLb()

/** Writes a byte every few milliseconds until the peer ends the connection; returns how long that took. */
async function dribble(client: RawClient, byte: string): Promise<number> {
  const from = performance.now()
  const timer = setInterval(
    () => client.socket.writable && client.ending === 'open' && client.write(byte),
    10,
  )
  try {
    await until('the proxy ended it', () => client.ending !== 'open' || client.closed)
  } finally {
    clearInterval(timer)
  }
  return performance.now() - from
}

describe('sizes', () => {
  const proxy = fixture({ limits: { head: '4KiB', fields: 20, target: '1KiB', body: '10KiB' } })

  test.each([
    ['a head with one huge field', request({ fields: [`X: ${'x'.repeat(5_000)}`] }), 431],
    [
      'a head with many bytes in few fields',
      request({ fields: Array(10).fill(`X: ${'x'.repeat(500)}`) }),
      431,
    ],
    ['too many fields', request({ fields: Array(20).fill('X: 1') }), 431],
    ['a target that is too long', request({ target: `/${'a'.repeat(1_024)}` }), 414],
    ['a target without end', `GET /${'a'.repeat(10_000)}`, 414],
    ['a head without end', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(10_000)}`, 431],
    ['a method without end', 'G'.repeat(10_000), 431],
  ])('%s: refused and closed', async (_, bytes, status) => {
    const client = await proxy.connect()
    const answer = await client.request(bytes)
    expect(answer.status).toBe(status)
    expect(await client.ended()).not.toBe('open')
    expect(proxy.backend.connections).toHaveLength(0)
  })

  test('what is just within the limits passes', async () => {
    const client = await proxy.connect()
    expect((await client.request(request({ target: `/${'a'.repeat(1_023)}` }))).status).toBe(200)
    expect((await client.request(request({ fields: Array(19).fill('X: 1') }))).status).toBe(200)
    const filler = 4_096 - request({ fields: ['X: '] }).length
    expect((await client.request(request({ fields: [`X: ${'x'.repeat(filler)}`] }))).status).toBe(200)
    expect((await client.request(request({ method: 'POST', body: 'b'.repeat(10_240) }))).status).toBe(200)
  })

  test('a length over the limit is refused before a byte goes to a backend', async () => {
    const client = await proxy.connect()
    const answer = await client.request(request({ method: 'POST', fields: ['Content-Length: 10241'] }))
    expect(answer.status).toBe(413)
    expect(answer.body.toString()).toContain('MR_BODY_TOO_LARGE')
    expect(await client.ended()).not.toBe('open')
    expect(proxy.backend.connections).toHaveLength(0)
  })

  test('chunks over the limit: 413, and the upstream request is never complete', async () => {
    const client = await proxy.connect()
    const body = chunked(Array(11).fill('b'.repeat(1_000)))
    const answer = await client.request(
      request({ method: 'POST', fields: ['Transfer-Encoding: chunked'], body }),
    )
    expect(answer.status).toBe(413)
    await until('the backend connection is closed', () =>
      proxy.backend.open.every(({ reader }) => reader.idle),
    )
    expect(proxy.backend.requests).toHaveLength(0)
  })
})

describe('sizes by default', () => {
  const proxy = fixture()

  test.each([
    ['a head of 16 KiB', (size: number) => request({ fields: [`X: ${'x'.repeat(size)}`] }), 16_384, 431],
    ['a target of 8 KiB', (size: number) => request({ target: `/${'a'.repeat(size)}` }), 8_192, 414],
    ['100 fields', (size: number) => request({ fields: Array(size).fill('X: 1') }), 100, 431],
  ] as const)('%s passes, one more does not', async (_, make, limit, status) => {
    const least = limit === 16_384 ? request({ fields: ['X: '] }).length : 1
    const client = await proxy.connect()
    expect((await client.request(make(limit - least))).status).toBe(200)
    expect((await client.request(make(limit - least + 1))).status).toBe(status)
  })

  test('a body has no limit', async () => {
    const client = await proxy.connect()
    expect((await client.request(request({ method: 'POST', body: 'b'.repeat(5_000_000) }))).status).toBe(200)
  })
})

describe('deadlines of the client', () => {
  const proxy = fixture({
    limits: {
      headTimeout: '300ms',
      keepAlive: '300ms',
      bodyIdle: '300ms',
      bodyMinRate: '10KiB/s',
      writeStall: '300ms',
    },
  })

  test('a head has an absolute deadline: dribbling does not extend it', async () => {
    const client = await proxy.connect()
    client.write('GET / HTTP/1.1\r\nHost: a\r\nX: ')
    expect(await dribble(client, 'x')).toBeLessThan(2_000)
    expect(client.responses[0]?.status).toBe(408)
    expect(client.responses[0]?.body.toString()).toContain('MR_REQUEST_TIMEOUT')
    expect(proxy.backend.connections).toHaveLength(0)
  })

  test('a connection that never says anything is closed', async () => {
    const client = await proxy.connect()
    expect(await client.ended()).not.toBe('open')
  })

  test('an idle kept-alive connection is closed without an answer', async () => {
    const client = await proxy.connect()
    await client.request(request())
    expect(await client.ended()).toBe('fin')
    expect(client.responses).toHaveLength(1)
  })

  test('a second head has the deadline too', async () => {
    const client = await proxy.connect()
    await client.request(request())
    client.write('GET / HT')
    expect(await dribble(client, 'x')).toBeLessThan(2_000)
    expect([400, 408]).toContain(client.responses[1]?.status)
  })

  test('a body that stops: 408, and the upstream request is aborted', async () => {
    const client = await proxy.connect()
    client.write(request({ method: 'POST', fields: ['Content-Length: 1000'], body: 'some' }))
    const answer = await client.response()
    expect(answer.status).toBe(408)
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
    expect(proxy.backend.requests).toHaveLength(0)
  })

  test('a body that trickles in: 408 although it is never idle', async () => {
    const client = await proxy.connect()
    client.write(request({ method: 'POST', fields: ['Content-Length: 100000'], body: 'some' }))
    expect(await dribble(client, 'x')).toBeLessThan(5_000)
    expect(client.responses[0]?.status).toBe(408)
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })

  test('a client that does not read its answer is let go', async () => {
    proxy.backend.respond((_, connection) => connection.write(response({ body: Buffer.alloc(30_000_000) })))
    const client = await proxy.connect({ paused: true })
    client.write(request())
    await until('the backend connection is closed', () => proxy.backend.connections[0]?.closed)
  })
})

describe('a client that pipelines and does not read', () => {
  const body = Buffer.alloc(16_000, 'b')
  const proxy = fixture({ admin: { address: '127.0.0.1:0' }, limits: { writeStall: '300ms' } })
  const answer = () => proxy.backend.respond((_, connection) => connection.write(response({ body })))

  test('is let go, and its requests are not asked of the backend on and on', async () => {
    const sent = 20_000
    answer()
    const client = await proxy.connect({ paused: true })
    client.write(request().repeat(sent))
    await until('requests come through', () => proxy.backend.requests.length > 10)
    while ((await proxy.lb.metric('millrace_client_connections')) > 0);
    expect(proxy.backend.requests.length).toBeLessThan(sent / 4)
    client.socket.resume()
    await client.whenClosed
  })

  test('gets every answer, in order, when it reads in time', async () => {
    const sent = 2_000
    answer()
    const client = await proxy.connect({ paused: true })
    client.write(Array.from({ length: sent }, (_, i) => request({ target: `/${i}` })).join(''))
    await until('requests come through', () => proxy.backend.requests.length > 10)
    client.socket.resume()
    await until('all are answered', () => client.responses.length === sent, { timeoutMs: 30_000 })
    expect(proxy.backend.requests.map(({ target }) => target)).toEqual(
      Array.from({ length: sent }, (_, i) => `/${i}`),
    )
  })
})

/** Tries to connect and to ask; the statuses of what was answered before the proxy ended it. */
async function refused(port: number, from: string): Promise<number[]> {
  const client = await rawClient(port, { from }).catch(() => undefined)
  if (client === undefined) return []
  client.write(request())
  expect(await client.ended()).not.toBe('open')
  return client.responses.map(({ status }) => status)
}

describe('connections', () => {
  test('per address are limited, and room is made when one ends', async () => {
    const backend = await rawBackend()
    const lb = await startLb(simpleConfig([backend], { limits: { connectionsPerAddress: 3 } }))
    const clients = await Promise.all(Array.from({ length: 3 }, () => rawClient(lb.port)))
    for (const client of clients) expect((await client.request(request())).status).toBe(200)
    expect([[], [503]]).toContainEqual(await refused(lb.port, '127.0.0.1'))
    const elsewhere = await rawClient(lb.port, { from: '127.0.0.2' })
    expect((await elsewhere.request(request())).status).toBe(200)
    clients[0].end()
    await clients[0].ended()
    const next = await rawClient(lb.port)
    expect((await next.request(request())).status).toBe(200)
  })

  test('in all are limited', async () => {
    const backend = await rawBackend()
    const lb = await startLb(simpleConfig([backend], { limits: { connections: 3 } }))
    const clients = await Promise.all([1, 2, 3].map((i) => rawClient(lb.port, { from: `127.0.0.${i}` })))
    for (const client of clients) expect((await client.request(request())).status).toBe(200)
    expect([[], [503]]).toContainEqual(await refused(lb.port, '127.0.0.4'))
  })
})

describe('the queue of a service', () => {
  async function start(queueTimeout = '300ms') {
    const connections = { max: 1, queue: 2, queueTimeout }
    const held: BackendConnection[] = []
    const backend = await rawBackend((_, connection) => held.push(connection))
    const lb = await serve(simpleConfig([backend], { service: { connections } }))
    const send = async (target: string): Promise<RawClient> => {
      const client = await rawClient(lb.port)
      client.write(request({ target }))
      return client
    }
    const first = await send('/1')
    await until('the first is at the backend', () => held.length === 1)
    /** Two round trips through the data thread: what reached it before has been dealt with. */
    const settled = async (): Promise<void> => {
      for (let i = 0; i < 2; i++) await (await rawClient(lb.port)).request('x\r\n\r\n')
    }
    return { backend, held, send, first, settled }
  }

  test('holds requests until a connection is free', async () => {
    const { backend, held, send, first } = await start('10s')
    const second = await send('/2')
    held[0].write(response({ body: '1' }))
    expect((await first.response()).body.toString()).toBe('1')
    await until('the second is at the backend', () => held.length === 2)
    held[1].write(response({ body: '2' }))
    expect((await second.response()).body.toString()).toBe('2')
    expect(backend.connections).toHaveLength(1)
  })

  test('lets go after its timeout: 503 with Retry-After', async () => {
    const { send, backend } = await start()
    const answer = await (await send('/2')).response()
    expect(answer.status).toBe(503)
    expect(answer.body.toString()).toContain('MR_QUEUE_TIMEOUT')
    expect(Number(fieldValue(answer, 'retry-after'))).toBeGreaterThan(0)
    expect(backend.requests).toHaveLength(1)
  })

  test('is bounded: what does not fit is answered at once with 503 and Retry-After', async () => {
    const { send } = await start()
    const clients = await Promise.all(['/2', '/3', '/4', '/5', '/6'].map(send))
    const answers = await Promise.all(clients.map((client) => client.response()))
    expect(answers.every(({ status }) => status === 503)).toBe(true)
    const full = answers.filter(({ body }) => body.toString().includes('MR_QUEUE_FULL'))
    expect(full).toHaveLength(3)
    for (const answer of full) expect(Number(fieldValue(answer, 'retry-after'))).toBeGreaterThan(0)
  })

  test('forgets a client that has gone', async () => {
    const { backend, held, send, first, settled } = await start('10s')
    const gone = await send('/gone')
    const stays = await send('/stays')
    await settled()
    gone.abort()
    await settled()
    held[0].write(response({ body: '1' }))
    await first.response()
    await until('the next is at the backend', () => held.length === 2)
    held[1].write(response({ body: '2' }))
    await stays.response()
    expect(backend.requests.map(({ target }) => target)).not.toContain('/gone')
  })
})
