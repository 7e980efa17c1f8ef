/** Over 300 lines: every line of http-intermediary 13 is a short test of its own over the same few helpers. */
import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Lb, reusedLb, simpleConfig } from '../harness/lb.ts'
import { type BackendConnection, type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const serve = reusedLb()

/** A port on which nobody listens. */
async function refusedUrl(): Promise<string> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await until('it listens', () => server.listening)
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

const ok = (connection: BackendConnection): void => connection.write(response({ body: 'ok' }))

/** Every request line that reached any connection, complete or not. */
function starts(backend: RawBackend, method: string): number {
  const heads = backend.connections.map(({ received }) => received.toString('latin1'))
  return heads.join('').match(new RegExp(`${method} \\S+ HTTP/1\\.1\r\n`, 'g'))?.length ?? 0
}

async function lbWith(backends: readonly (RawBackend | string)[], retries: object = {}): Promise<Lb> {
  return serve(simpleConfig(backends, { service: { algorithm: 'round-robin', retries } }))
}

describe('before a byte was written', () => {
  test('a refused connection is tried elsewhere, for a POST too, and costs no attempt', async () => {
    const backend = await rawBackend()
    const lb = await lbWith([await refusedUrl(), backend, await refusedUrl()], { attempts: 0 })
    for (let i = 0; i < 6; i++) {
      const client = await rawClient(lb.port)
      expect((await client.request(request({ method: 'POST', body: 'data' }))).status).toBe(200)
    }
    expect(backend.requests).toHaveLength(6)
  })

  test('no backend is asked twice while another is left', async () => {
    const lb = await lbWith([await refusedUrl(), await refusedUrl(), await refusedUrl()], { attempts: 0 })
    const client = await rawClient(lb.port)
    const answer = await client.request(request())
    expect(answer.status).toBe(502)
    expect(answer.body.toString()).toContain('MR_CONNECT')
  })
})

describe('a kept-alive connection that the backend closes under a request', () => {
  /** Answers the first request of each connection; the second one closes it. */
  const closesSecond = (how: 'end' | 'abort') => (_: unknown, connection: BackendConnection) => {
    if (connection.requests.length === 1) ok(connection)
    else connection[how]()
  }

  test.each(['end', 'abort'] as const)('is replayed once without the client noticing (%s)', async (how) => {
    const backend = await rawBackend(closesSecond(how))
    const lb = await lbWith([backend], { attempts: 0, budget: '0%' })
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(200)
    expect((await client.request(request({ target: '/second' }))).status).toBe(200)
    expect(backend.requests.filter(({ target }) => target === '/second')).toHaveLength(2)
  })

  test('is replayed once only: then 502', async () => {
    const backend = await rawBackend(({ target }, connection) => {
      if (target === '/first') ok(connection)
      else connection.end()
    })
    const lb = await lbWith([backend], { attempts: 0 })
    const client = await rawClient(lb.port)
    await client.request(request({ target: '/first' }))
    const answer = await client.request(request({ target: '/second' }))
    expect(answer.status).toBe(502)
    expect(answer.body.toString()).toContain('MR_UPSTREAM_CLOSED')
    expect(starts(backend, 'GET')).toBe(3)
  })

  test('a POST is never sent twice', async () => {
    const backend = await rawBackend(closesSecond('end'))
    const other = await rawBackend(closesSecond('end'))
    const lb = await lbWith([backend, other], { attempts: 3 })
    const client = await rawClient(lb.port)
    await client.request(request())
    await client.request(request())
    const answer = await client.request(request({ method: 'POST', body: 'pay' }))
    expect(answer.status).toBe(502)
    expect(starts(backend, 'POST') + starts(other, 'POST')).toBe(1)
  })

  test('an idempotent request with a body is replayed whole', async () => {
    const backend = await rawBackend(closesSecond('end'))
    const lb = await lbWith([backend], { attempts: 0 })
    const client = await rawClient(lb.port)
    await client.request(request())
    const body = 'b'.repeat(20_000)
    expect((await client.request(request({ method: 'PUT', body }))).status).toBe(200)
    expect(backend.requests.at(-1)?.body.toString()).toBe(body)
  })

  test('a response byte forbids it', async () => {
    const backend = await rawBackend((_, connection) => {
      if (connection.requests.length === 1) ok(connection)
      else connection.end('H')
    })
    const lb = await lbWith([backend], { attempts: 0 })
    const client = await rawClient(lb.port)
    await client.request(request())
    expect((await client.request(request())).status).toBe(502)
    expect(starts(backend, 'GET')).toBe(2)
  })
})

describe('a fresh connection that the backend closes under a request', () => {
  const closes = (_: unknown, connection: BackendConnection): void => connection.end()

  test('is retried on another backend within `attempts`', async () => {
    const bad = await rawBackend(closes)
    const good = await rawBackend()
    const lb = await lbWith([bad, good], { attempts: 1 })
    for (let i = 0; i < 4; i++) {
      const client = await rawClient(lb.port)
      expect((await client.request(request())).status).toBe(200)
    }
    expect(starts(bad, 'GET')).toBeGreaterThan(0)
  })

  test('is not retried with `attempts: 0`', async () => {
    const bad = await rawBackend(closes)
    const alsoBad = await rawBackend(closes)
    const lb = await lbWith([bad, alsoBad], { attempts: 0 })
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(502)
    expect(starts(bad, 'GET') + starts(alsoBad, 'GET')).toBe(1)
  })

  test('is tried `attempts` more times, each backend once before any twice', async () => {
    const bad = await Promise.all([rawBackend(closes), rawBackend(closes), rawBackend(closes)])
    const lb = await lbWith(bad, { attempts: 2 })
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(502)
    expect(bad.map((backend) => starts(backend, 'GET'))).toEqual([1, 1, 1])
  })

  test.each(['POST', 'PATCH', 'LOCK'])('%s is never sent twice', async (method) => {
    const bad = await rawBackend(closes)
    const alsoBad = await rawBackend(closes)
    const lb = await lbWith([bad, alsoBad], { attempts: 5 })
    const client = await rawClient(lb.port)
    expect((await client.request(request({ method, body: 'x' }))).status).toBe(502)
    expect(starts(bad, method) + starts(alsoBad, method)).toBe(1)
  })

  test.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])('%s is sent again', async (method) => {
    const bad = await rawBackend(closes)
    const good = await rawBackend((_, connection) => connection.write(response({ status: 204 })))
    const lb = await lbWith([bad, good], { attempts: 1 })
    for (let i = 0; i < 2; i++) {
      const client = await rawClient(lb.port)
      expect((await client.request(request({ method }))).status).toBe(204)
    }
  })
})

describe('bodies and the buffer', () => {
  test.each([
    [1_000, 200],
    [1_025, 502],
  ])('a PUT of %i bytes with a buffer of 1,024: %i', async (length, status) => {
    const bad = await rawBackend((_, connection) => connection.end())
    const lb = await lbWith([bad], { attempts: 1, bodyBuffer: '1KiB' })
    bad.respond((_, connection) => (bad.requests.length === 1 ? connection.end() : ok(connection)))
    const client = await rawClient(lb.port)
    const answer = await client.request(request({ method: 'PUT', body: 'b'.repeat(length) }))
    expect(answer.status).toBe(status)
    expect(starts(bad, 'PUT')).toBe(status === 200 ? 2 : 1)
    if (status === 200) expect(bad.requests[1].body).toHaveLength(length)
  })
})

describe('a backend that goes away while the body is being sent', () => {
  test('an idempotent request goes on elsewhere, with what was sent before', async () => {
    let broken = 0
    const breaks = (connection: BackendConnection): void => {
      broken++
      connection.abort()
    }
    const backends = await Promise.all([rawBackend({}), rawBackend({})])
    for (const backend of backends) {
      backend.script = {
        onHead: (_, connection) => broken === 0 && connection.socket.once('data', () => breaks(connection)),
        onRequest: (_, connection) => ok(connection),
      }
    }
    const lb = await lbWith(backends, { attempts: 1 })
    const client = await rawClient(lb.port)
    client.write(request({ method: 'PUT', fields: ['Content-Length: 8'] }))
    const arrived = (): boolean =>
      backends.some(({ connections }) => connections[0]?.reader.current !== undefined)
    await until('the head is at a backend', arrived)
    client.write('half')
    await until('that backend is gone', () => broken === 1)
    client.write('rest')
    expect((await client.response()).status).toBe(200)
    expect(backends.flatMap(({ requests }) => requests).map(({ body }) => body.toString())).toEqual([
      'halfrest',
    ])
  })

  test('a POST is answered with 502 although it is still being sent', async () => {
    const bad = await rawBackend({ onHead: (_, connection) => connection.abort() })
    const lb = await lbWith([bad], { attempts: 3 })
    const client = await rawClient(lb.port)
    client.write(request({ method: 'POST', fields: ['Content-Length: 1000000'] }))
    client.write('x'.repeat(100_000))
    expect((await client.response()).status).toBe(502)
    expect(starts(bad, 'POST')).toBe(1)
  })
})

describe('retries.on', () => {
  const unavailable = (_: unknown, connection: BackendConnection): void =>
    connection.write(response({ status: 503, body: 'busy' }))

  test('a listed status is tried elsewhere', async () => {
    const busy = await rawBackend(unavailable)
    const good = await rawBackend()
    const lb = await lbWith([busy, good], { attempts: 1, on: [503] })
    for (let i = 0; i < 4; i++) {
      const client = await rawClient(lb.port)
      expect((await client.request(request())).status).toBe(200)
    }
    expect(busy.requests.length).toBeGreaterThan(0)
  })

  test('the last answer is forwarded when all say so', async () => {
    const busy = await Promise.all([rawBackend(unavailable), rawBackend(unavailable)])
    const lb = await lbWith(busy, { attempts: 5, on: [503] })
    const client = await rawClient(lb.port)
    const answer = await client.request(request())
    expect(answer.status).toBe(503)
    expect(answer.body.toString()).toBe('busy')
  })

  test('a status that is not listed, and a POST, are not', async () => {
    const busy = await rawBackend(unavailable)
    const good = await rawBackend(unavailable)
    const lb = await lbWith([busy, good], { attempts: 5, on: [500] })
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(503)
    expect(busy.requests.length + good.requests.length).toBe(1)
    await lb.apply(simpleConfig([busy, good], { service: { retries: { attempts: 5, on: [503] } } }))
    expect((await client.request(request({ method: 'POST', body: 'x' }))).status).toBe(503)
    expect(busy.requests.length + good.requests.length).toBe(2)
  })
})

test('the budget bounds what a failing service is sent', async () => {
  const requests = 40
  const waiting: BackendConnection[] = []
  const bad = await rawBackend((_, connection) => {
    waiting.push(connection)
    if (waiting.length === requests) for (const one of waiting) one.abort()
    else if (waiting.length > requests) connection.abort()
  })
  const lb = await lbWith([bad], { attempts: 3, budget: '20%' })
  const clients = await Promise.all(Array.from({ length: requests }, () => rawClient(lb.port)))
  const answers = await Promise.all(clients.map((client) => client.request(request())))
  expect(answers.every(({ status }) => status === 502)).toBe(true)
  // 20 % of 40 active requests are 8; each retry that ends makes room for another one, so a few more than 8 in all.
  expect(starts(bad, 'GET')).toBeGreaterThan(requests)
  expect(starts(bad, 'GET')).toBeLessThanOrEqual(requests * 1.6)
})

test('a retry is not made once the client has gone', async () => {
  const bad = await rawBackend(() => {})
  const good = await rawBackend(() => {})
  const lb = await lbWith([bad, good], { attempts: 3 })
  const client = await rawClient(lb.port)
  client.write(request())
  await until('a backend got it', () => bad.requests.length + good.requests.length === 1)
  client.abort()
  await until('the backend connection is closed', () => bad.open.length + good.open.length === 0)
  expect(bad.requests.length + good.requests.length).toBe(1)
})

test('a backend whose connections hang is left for another after the connect timeout', async () => {
  const { spawn } = await import('node:child_process')
  const code = `const s = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let port = 0
  child.stdout.on('data', (text: Buffer) => {
    port = Number(text.toString())
  })
  await until('the child listens', () => port)
  child.kill('SIGSTOP')
  // A stopped process accepts nothing: the kernel completes some connections, then lets further ones hang.
  const fillers = Array.from({ length: 8 }, () => net.connect(port, '127.0.0.1').on('error', () => {}))
  onTestFinished(() => fillers.forEach((socket) => void socket.destroy()))
  await until('the queue is full', () => fillers.filter((socket) => !socket.connecting).length >= 2)
  const good = await rawBackend()
  const timeouts = { connect: '200ms', firstByte: '2s' }
  const lb = await serve(
    simpleConfig([`http://127.0.0.1:${port}`, good], { service: { timeouts, retries: { attempts: 0 } } }),
  )
  for (let i = 0; i < 2; i++) {
    const client = await rawClient(lb.port)
    expect((await client.request(request({ method: 'POST', body: 'x' }))).status).toBe(200)
  }
})
