import { describe, expect, onTestFinished, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { response } from '../harness/raw-backend.ts'
import { request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const retries = { attempts: 0 }

describe('the first byte', () => {
  const proxy = fixture({ service: { timeouts: { firstByte: '300ms' }, retries } })

  test('that does not come in time: 504, and the upstream connection is closed', async () => {
    proxy.backend.script = {}
    const client = await proxy.connect()
    const from = performance.now()
    const answer = await client.request(request())
    expect(performance.now() - from).toBeGreaterThan(290)
    expect(answer.status).toBe(504)
    expect(answer.body.toString()).toContain('MR_FIRST_BYTE_TIMEOUT')
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
    proxy.backend.respond((_, connection) => connection.write(response({ body: 'ok' })))
    expect((await client.request(request())).status).toBe(200)
  })

  test('is not awaited while the request is still being sent', async () => {
    const client = await proxy.connect()
    client.write(request({ method: 'POST', fields: ['Content-Length: 60'] }))
    const from = performance.now()
    // A slow upload of 600 ms, twice the deadline.
    for (let sent = 0; sent < 60; sent++) {
      client.write('x')
      await until('ten milliseconds have passed', () => performance.now() - from > sent * 10)
    }
    expect((await client.response()).status).toBe(200)
  })

  test('an answer in time is not cut off by it', async () => {
    proxy.backend.respond((_, connection) => {
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n')
      let sent = 0
      const timer = setInterval(() => {
        connection.write('x')
        if (++sent === 50) clearInterval(timer)
      }, 10)
    })
    const client = await proxy.connect()
    expect((await client.request(request())).body).toHaveLength(50)
  })
})

describe('the idle time of an answer', () => {
  const proxy = fixture({ service: { timeouts: { idle: '300ms' }, retries } })

  test('that stops inside its head: 504', async () => {
    proxy.backend.respond((_, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-'))
    const client = await proxy.connect()
    expect((await client.request(request())).status).toBe(504)
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })

  test('that drips its head: 504, counted from the first byte', async () => {
    proxy.backend.respond((_, connection) => {
      connection.write('HTTP/1.1 200 OK\r\nX-Drip: ')
      const timer = setInterval(() => connection.write('x'), 20)
      connection.socket.on('close', () => clearInterval(timer))
    })
    const client = await proxy.connect()
    const answer = await client.request(request())
    expect(answer.status).toBe(504)
    expect(answer.body.toString()).toContain('MR_FIRST_BYTE_TIMEOUT')
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })

  test('that drips its head while the request is still being sent: 504 too', async () => {
    proxy.backend.script = {
      onHead: (_, connection) => connection.write('HTTP/1.1 200 OK\r\nX-Drip: '),
    }
    const client = await proxy.connect()
    client.write(request({ method: 'POST', fields: ['Content-Length: 1000000'] }))
    const timer = setInterval(() => client.write('x'), 20)
    onTestFinished(() => clearInterval(timer))
    expect((await client.response()).status).toBe(504)
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })

  test('that stops inside its body: the client is aborted', async () => {
    proxy.backend.respond((_, connection) =>
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nsome'),
    )
    const client = await proxy.connect()
    client.write(request())
    expect(await client.ended()).not.toBe('open')
    expect(client.responses).toEqual([])
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })

  test('is not that of a client which reads slowly', async () => {
    proxy.backend.respond((_, connection) => connection.write(response({ body: Buffer.alloc(20_000_000) })))
    const client = await proxy.connect({ paused: true })
    client.write(request())
    const from = performance.now()
    await until('twice the idle time has passed', () => performance.now() - from > 600)
    client.socket.resume()
    expect((await client.response()).body).toHaveLength(20_000_000)
  })
})

describe('the whole exchange', () => {
  const proxy = fixture({ service: { timeouts: { request: '400ms' }, retries } })

  test('without an answer: 504', async () => {
    proxy.backend.script = {}
    const client = await proxy.connect()
    const answer = await client.request(request())
    expect(answer.status).toBe(504)
    expect(answer.body.toString()).toContain('MR_DEADLINE')
  })

  test('in the middle of an answer: the client is aborted', async () => {
    proxy.backend.respond((_, connection) => {
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n')
      const timer = setInterval(() => connection.write('x'), 10)
      connection.socket.on('close', () => clearInterval(timer))
    })
    const client = await proxy.connect()
    client.write(request())
    expect(await client.ended()).not.toBe('open')
    expect(client.responses).toEqual([])
    await until('the backend connection is closed', () => proxy.backend.open.length === 0)
  })
})

describe('the whole exchange, in the queue', () => {
  const proxy = fixture({
    service: { timeouts: { request: '400ms' }, connections: { max: 1, queueTimeout: '10s' }, retries },
  })

  test('a request that waits for a connection does not wait longer than it may take', async () => {
    proxy.backend.script = {
      onHead: (_, connection) => {
        connection.reader.takeRaw()
        connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
        )
      },
    }
    // A tunnel has no deadline: it keeps the only connection for as long as the test wants.
    const tunnel = await proxy.connect()
    tunnel.write(request({ fields: ['Connection: upgrade', 'Upgrade: websocket'] }))
    await until('the tunnel stands', () => tunnel.reader.messages.length === 1)
    const second = await proxy.connect()
    const from = performance.now()
    const answer = await second.request(request())
    expect(answer.status).toBe(504)
    expect(answer.body.toString()).toContain('MR_DEADLINE')
    expect(performance.now() - from).toBeLessThan(3_000)
  })
})
