import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Lb, neverOpens, startLb } from '../harness/lb.ts'
import { type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { type ClientOptions, type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const ok: Parameters<RawBackend['respond']>[0] = (_, connection) => connection.write(response({ body: 'ok' }))

let backend: RawBackend
let other: RawBackend
let lb: Lb

const cleanup = untilFileEnds()
beforeAll(async () => {
  backend = await rawBackend(ok, { cleanup })
  other = await rawBackend(ok, { cleanup })
  const service = { breaker: neverOpens, retries: { attempts: 0 } }
  lb = await startLb(
    {
      node: { threads: 1 },
      plugins: ['./plugins/late.ts'],
      listeners: { web: { address: '127.0.0.1:0' } },
      routes: [
        { match: { path: '/short' }, service: 'short' },
        { match: { path: '/line' }, service: 'line' },
        { match: { path: '/open' }, service: 'open' },
        { service: 'app' },
      ],
      services: {
        app: { ...service, backends: [backend.url], filters: [{ use: 'late', id: 'app' }] },
        other: { ...service, backends: [other.url], filters: [{ use: 'late', id: 'other' }], upgrades: [] },
        short: {
          ...service,
          backends: [backend.url],
          filters: [{ use: 'late', id: 'short', deadline: '100ms' }],
        },
        open: {
          ...service,
          backends: [backend.url],
          filters: [
            { use: 'late', id: 'first', deadline: '100ms', failOpen: true },
            { use: 'late', id: 'second', field: 'x-then' },
          ],
        },
        line: {
          ...service,
          backends: [backend.url],
          filters: [{ use: 'late', id: 'line' }],
          connections: { max: 1, pipelining: 4 },
        },
      },
    },
    { directory, cleanup },
  )
})

beforeEach(async () => {
  for (const one of [backend, other]) {
    await one.clear()
    one.respond(ok)
  }
  lb.log.length = 0
})

const connect = (options?: ClientOptions): Promise<RawClient> => rawClient(lb.port, options)
const said = (message: string): boolean => lb.log.some((line) => line.message === message)
const secretsSeen = (): unknown[] =>
  lb.log.filter(({ message }) => message.startsWith('awake')).map(({ fields }) => fields.secret)

/** A request that wakes whoever sleeps, with a secret of its own, and is on its way meanwhile. */
async function wake(target = '/'): Promise<void> {
  const client = await connect()
  await client.request(request({ target, fields: ['X-Do: wake', 'X-Secret: of another'] }))
  await until('the sleeper woke', () => secretsSeen().length > 0)
}

describe('a hook that outlives its exchange sees nothing of the next one', () => {
  test('after its deadline', async () => {
    const client = await connect()
    const answer = await client.request(request({ target: '/short', fields: ['X-Do: sleep'] }))
    expect(answer.status).toBe(500)
    await wake('/short')
    expect(secretsSeen()).toEqual(['none'])
  })

  test('after its client went away', async () => {
    const client = await connect()
    client.write(request({ fields: ['X-Do: sleep'] }))
    await until('the filter sleeps', () => said('asleep in onRequest'))
    client.abort()
    await until('the exchange is over', () => said('done client-abort'))
    await wake()
    expect(secretsSeen()).toEqual(['none'])
  })
})

test('what a filter answers after its deadline is not the answer of the next one', async () => {
  const client = await connect()
  client.expect('GET')
  client.write(request({ target: '/open', fields: ['X-Do: sleep-refuse', 'X-Then: sleep'] }))
  await until(
    'both sleep',
    () => lb.log.filter(({ message }) => message === 'asleep in onRequest').length === 2,
  )
  const waker = await connect()
  await waker.request(request({ target: '/open', fields: ['X-Do: wake', 'X-Then: wake'] }))
  const answer = await client.response()
  expect([answer.status, answer.body.toString()]).toEqual([200, 'ok'])
})

describe('while a response filter makes up its mind', () => {
  test('room in the client’s socket does not let the body out before its head', async () => {
    const big = 4_000_000
    backend.respond(({ target }, connection) =>
      connection.write(response({ body: target === '/big' ? Buffer.alloc(big, 'b') : 'second' })),
    )
    const client = await connect({ paused: true })
    client.expect('GET')
    client.expect('GET')
    client.write(request({ target: '/big' }) + request({ target: '/2', fields: ['X-Answer: sleep'] }))
    // Read only as much as lets the first exchange end: then its tail still waits in the socket.
    client.socket.on('data', () => {
      if (!said('asleep in onResponse')) return
    })
    client.socket.resume()
    await until('the filter sleeps', () => said('asleep in onResponse'))
    expect((await client.response()).body).toHaveLength(big)
    await wake()
    expect((await client.response()).body.toString()).toBe('second')
  })

  test.each([
    'length',
    'close',
  ])('the end of the backend’s connection does not cut the body off: %s', async (how) => {
    const fields = how === 'length' ? ['Content-Length: 10', 'Connection: close'] : ['Connection: close']
    backend.respond((one, connection) => {
      if (one.fields.some(([name]) => name.toLowerCase() === 'x-do')) return ok(one, connection)
      const lines = ['HTTP/1.1 200 OK', ...fields, '', '']
      connection.write(lines.join('\r\n'))
    })
    const client = await connect()
    client.expect('GET')
    client.write(request({ fields: ['X-Answer: sleep'] }))
    await until('the filter sleeps', () => said('asleep in onResponse'))
    backend.connections[0].end('0123456789')
    await until('the end was sent', () => backend.connections[0].socket.writableFinished)
    await wake()
    expect((await client.response()).body.toString()).toBe('0123456789')
  })

  test('an empty body that ends with the connection is an answer', async () => {
    backend.respond((one, connection) => {
      if (one.fields.some(([name]) => name.toLowerCase() === 'x-do')) return ok(one, connection)
      connection.write('HTTP/1.1 200 OK\r\n\r\n')
    })
    const client = await connect()
    client.expect('GET')
    client.write(request({ fields: ['X-Answer: sleep'] }))
    await until('the filter sleeps', () => said('asleep in onResponse'))
    backend.connections[0].end()
    await until('the end was sent', () => backend.connections[0].socket.writableFinished)
    await wake()
    expect((await client.response()).status).toBe(200)
  })
})

describe('a status that a filter changes', () => {
  test.each([
    ['204 to an answer with a body', 200, '204', ''],
    ['304 to an answer with a body', 200, '304', ''],
    ['200 to a 304', 304, '200', ''],
    ['200 to a 204', 204, '200', ''],
  ])('keeps the connection in step: %s', async (_, from, to, body) => {
    backend.respond(({ target }, connection) => {
      const fields = from === 304 ? ['Content-Length: 5'] : []
      connection.write(
        target === '/edit'
          ? response({ status: from, fields, body: from === 200 ? 'hello' : '' })
          : response({ body: 'next' }),
      )
    })
    const client = await connect()
    const edited = await client.request(request({ target: '/edit', fields: [`X-Status: ${to}`] }))
    expect([edited.status, edited.body.toString()]).toEqual([Number(to), body])
    expect((await client.request(request())).body.toString()).toBe('next')
  })

  test('keeps the connection in step where the answer is the filter’s own', async () => {
    const client = await connect()
    const edited = await client.request(request({ fields: ['X-Do: refuse', 'X-Status: 204'] }))
    expect([edited.status, edited.body.toString()]).toEqual([204, ''])
    expect((await client.request(request())).body.toString()).toBe('ok')
  })
})

describe('a transformed answer', () => {
  test('is whole for an HTTP/1.0 client of a connection that served large answers', async () => {
    const body = Buffer.alloc(40_000, 'x')
    backend.respond((_, connection) => connection.write(response({ body })))
    const first = await connect()
    for (let i = 0; i < 3; i++) await first.request(request())
    const old = await connect()
    const answer = await old.request(request({ version: 'HTTP/1.0', fields: ['X-Answer: pass'] }))
    expect(answer.body.equals(body)).toBe(true)
  })

  test('is not held back until the next piece comes', async () => {
    const lines = ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', '5', 'event', '']
    backend.respond((_, connection) => connection.write(lines.join('\r\n')))
    const client = await connect()
    client.write(request({ fields: ['X-Answer: pass-later'] }))
    await until('the piece came', () => client.text.includes('event'), { timeoutMs: 2_000 })
  })
})

describe('behind one another on one connection', () => {
  test('a filter that refuses an answer does not hold up the next one', async () => {
    const held: string[] = []
    backend.respond(({ target }, connection) => {
      held.push(target)
      if (held.length === 2) for (const one of held) connection.write(response({ body: one }))
    })
    const [a, b] = [await connect(), await connect()]
    a.expect('GET')
    a.write(request({ target: '/line/a', fields: ['X-Answer: throw'] }))
    await until('the first is there', () => held.length === 1)
    b.expect('GET')
    b.write(request({ target: '/line/b' }))
    expect((await a.response()).status).toBe(500)
    expect((await b.response()).body.toString()).toBe('/line/b')
  })

  test('a client that leaves its answer unread and goes does not hold up the next one', async () => {
    const held: string[] = []
    backend.respond(({ target }, connection) => {
      held.push(target)
      if (held.length < 2) return
      connection.write(response({ body: Buffer.alloc(20_000_000, 'a') }))
      connection.write(response({ body: 'for b' }))
    })
    const a = await connect({ paused: true })
    const b = await connect()
    a.write(request({ target: '/line/a' }))
    await until('the first is there', () => held.length === 1)
    b.expect('GET')
    b.write(request({ target: '/line/b' }))
    await until('both are there', () => held.length === 2)
    await until(
      'the answer has begun',
      () => a.socket.bytesRead >= 0 && backend.connections[0].socket.writableLength > 0,
    )
    a.abort()
    expect((await b.response()).body.toString()).toBe('for b')
  })
})

describe('an exchange that a filter sends to another service', () => {
  test('asks for no protocol that this one does not allow', async () => {
    const client = await connect()
    await client.request(request({ fields: ['X-Do: leave', 'Connection: Upgrade', 'Upgrade: websocket'] }))
    expect(other.requests[0].fields.map(([name]) => name.toLowerCase())).not.toContain('upgrade')
  })

  test('and back, and again, comes to an end', async () => {
    const client = await connect()
    expect((await client.request(request({ fields: ['X-Do: bounce'] }))).status).toBe(500)
  })
})
