import { describe, expect, test } from 'vitest'
import { type Lb, reusedLb, simpleConfig } from '../harness/lb.ts'
import {
  type BackendConnection,
  type Handler,
  type RawBackend,
  rawBackend,
  response,
} from '../harness/raw-backend.ts'
import { type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const serve = reusedLb()

interface Setting {
  readonly backend: RawBackend
  readonly lb: Lb
  /** Sends a request on a new connection, without waiting. */
  send(target: string, fields?: readonly string[], method?: string): Promise<RawClient>
}

async function start(handler: Handler, service: Record<string, unknown> = {}): Promise<Setting> {
  const backend = await rawBackend(handler)
  const connections = { max: 1, pipelining: 8, queueTimeout: '5s' }
  const lb = await serve(simpleConfig([backend], { service: { connections, ...service } }))
  return {
    backend,
    lb,
    async send(target, fields = [], method = 'GET') {
      const client = await rawClient(lb.port)
      client.expect(method)
      client.write(request({ method, target, fields }))
      return client
    },
  }
}

const echo = ({ target }: { target: string }): Buffer => response({ body: target })
/** Answers when `count` requests are there, in order. */
function holdUntil(count: number): Handler {
  const held: [BackendConnection, string][] = []
  return ({ target }, connection) => {
    held.push([connection, target])
    if (held.length >= count) for (const [one, name] of held.splice(0)) one.write(echo({ target: name }))
  }
}

describe('pipelining to a backend', () => {
  test('sends several requests on one connection; each client gets its own answer', async () => {
    const { backend, send } = await start(holdUntil(8))
    const targets = Array.from({ length: 8 }, (_, i) => `/${i}`)
    const clients = await Promise.all(targets.map((target) => send(target)))
    const bodies = await Promise.all(clients.map(async (client) => (await client.response()).body.toString()))
    expect(bodies).toEqual(targets)
    expect(backend.connections).toHaveLength(1)
  })

  test('is off by default', async () => {
    const backend = await rawBackend(() => {})
    const lb = await serve(
      simpleConfig([backend], { service: { connections: { max: 2, queueTimeout: '200ms' } } }),
    )
    const clients = await Promise.all(Array.from({ length: 4 }, () => rawClient(lb.port)))
    for (const client of clients) client.write(request())
    await until('two were let go', () => clients.filter(({ responses }) => responses.length > 0).length === 2)
    expect(backend.connections.map(({ requests }) => requests.length)).toEqual([1, 1])
  })

  test('carries many answers whole, in any split', async () => {
    const { lb } = await start(({ target }, connection) => {
      const bytes = response({ body: target.repeat(1 + (target.length % 7) * 50) })
      for (let at = 0; at < bytes.length; at += 97) connection.write(bytes.subarray(at, at + 97))
    })
    const clients = await Promise.all(Array.from({ length: 16 }, () => rawClient(lb.port)))
    await Promise.all(
      clients.map(async (client, c) => {
        for (let i = 0; i < 25; i++) {
          const target = `/${'x'.repeat(i % 9)}-${c}-${i}`
          const answer = await client.request(request({ target }))
          expect(answer.body.toString()).toBe(target.repeat(1 + (target.length % 7) * 50))
        }
      }),
    )
  })

  test.each([
    ['a Cookie', ['Cookie: a=b'], 'GET'],
    ['Authorization', ['Authorization: Basic eA=='], 'GET'],
    ['an Upgrade', ['Connection: upgrade', 'Upgrade: websocket'], 'GET'],
    ['another method', [], 'DELETE'],
  ] as const)('is not for requests with %s', async (_, fields, method) => {
    const { backend, send } = await start(() => {})
    await send('/first')
    await until('the first is at the backend', () => backend.requests.length === 1)
    await send('/guarded', fields, method)
    await send('/plain')
    await until('the plain one is at the backend', () =>
      backend.requests.some(({ target }) => target === '/plain'),
    )
    // `max: 1` leaves no other connection, so the guarded one waits for an empty line.
    expect(backend.requests.map(({ target }) => target)).not.toContain('/guarded')
  })

  test('nothing is sent behind a request that is not pipelined', async () => {
    const { backend, send } = await start(() => {})
    await send('/guarded', ['Cookie: a=b'])
    await until('it is at the backend', () => backend.requests.length === 1)
    const client = await send('/plain')
    backend.connections[0].write(response({ body: 'for the cookie' }))
    await until('the plain one follows', () => backend.requests.length === 2)
    backend.connections[0].write(response({ body: 'for the plain one' }))
    expect((await client.response()).body.toString()).toBe('for the plain one')
  })

  test('HEAD answers have no body, in the middle of others', async () => {
    const { send } = await start((seen, connection) => {
      if (seen.method === 'HEAD') connection.write('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n')
      else connection.write(echo(seen))
    })
    const clients = await Promise.all([
      send('/1'),
      send('/2', [], 'HEAD'),
      send('/3'),
      send('/4', [], 'HEAD'),
    ])
    const bodies = await Promise.all(clients.map(async (client) => (await client.response()).body.toString()))
    expect(bodies).toEqual(['/1', '', '/3', ''])
  })
})

describe('when something goes wrong on the line', () => {
  /** Three requests on one connection; then `act` on it. Later connections echo. */
  async function line(act: (connection: BackendConnection) => void, service: Record<string, unknown> = {}) {
    const setting = await start((seen, connection) => {
      if (connection.index > 0) connection.write(echo(seen))
    }, service)
    const clients = [await setting.send('/1')]
    await until('the first is there', () => setting.backend.requests.length === 1)
    clients.push(await setting.send('/2'), await setting.send('/3'))
    await until('all are there', () => setting.backend.requests.length === 3)
    expect(setting.backend.connections).toHaveLength(1)
    act(setting.backend.connections[0])
    const answers = await Promise.all(clients.map((client) => client.response().catch(() => undefined)))
    return { ...setting, answers: answers.map((answer) => answer && [answer.status, answer.body.toString()]) }
  }

  test('a malformed answer fails its own request; the rest are replayed elsewhere', async () => {
    const { answers, backend } = await line(
      (connection) => connection.write('HTTP/1.1 200 OK\r\nX : 1\r\n\r\n'),
      {
        retries: { attempts: 0 },
      },
    )
    expect(answers[0]?.[0]).toBe(502)
    expect(answers.slice(1)).toEqual([
      [200, '/2'],
      [200, '/3'],
    ])
    await until('the line is closed', () => backend.connections[0].closed)
  })

  test('a close without an answer: no request is lost', async () => {
    const { answers } = await line((connection) => connection.end())
    expect(answers.slice(1)).toEqual([
      [200, '/2'],
      [200, '/3'],
    ])
    expect(answers[0]?.[0] === 200 || answers[0]?.[0] === 502).toBe(true)
  })

  test('a close after the first answer: the rest are replayed', async () => {
    const { answers } = await line((connection) => connection.end(echo({ target: '/1' })))
    expect(answers).toEqual([
      [200, '/1'],
      [200, '/2'],
      [200, '/3'],
    ])
  })

  test('an answer that says close: the rest are replayed', async () => {
    const { answers } = await line((connection) =>
      connection.end(response({ fields: ['Connection: close'], body: '/1' })),
    )
    expect(answers).toEqual([
      [200, '/1'],
      [200, '/2'],
      [200, '/3'],
    ])
  })

  test('a body that is cut short aborts its own client only', async () => {
    const { answers } = await line((connection) =>
      connection.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n/1'),
    )
    expect(answers[0]).toBeUndefined()
    expect(answers.slice(1)).toEqual([
      [200, '/2'],
      [200, '/3'],
    ])
  })

  test('a first byte that does not come in time: 504 for the first, the rest are replayed', async () => {
    const { answers } = await line(() => {}, { timeouts: { firstByte: '300ms' } })
    expect(answers[0]?.[0]).toBe(504)
    expect(answers.slice(1)).toEqual([
      [200, '/2'],
      [200, '/3'],
    ])
  })

  test('a backend that closes is not pipelined to again', async () => {
    const setting = await line((connection) => connection.end(echo({ target: '/1' })))
    const { backend, send } = setting
    await backend.clear()
    backend.respond(() => {})
    await send('/a')
    await until('the first is there', () => backend.requests.length === 1)
    await send('/b')
    const last = await send('/c', ['Connection: close'])
    backend.connections[0].write(response({ body: '/a' }))
    await until('the second is there', () => backend.requests.length === 2)
    expect(last.responses).toEqual([])
    // Each request waits until the line is empty.
    expect(backend.connections.map(({ requests }) => requests.length)).toEqual([2])
  })

  test('each is replayed at most once', async () => {
    const setting = await start((_, connection) => connection.end(), { retries: { attempts: 0 } })
    const { backend, send } = setting
    const targets = ['/1', '/2', '/3', '/4']
    const clients = await Promise.all(targets.map((target) => send(target)))
    const answers = await Promise.all(clients.map((client) => client.response()))
    expect(answers.map(({ status }) => status)).toEqual([502, 502, 502, 502])
    for (const target of targets) {
      expect(backend.requests.filter((seen) => seen.target === target).length).toBeLessThanOrEqual(2)
    }
  })

  test('a client that leaves does not shift the answers of the others', async () => {
    const { backend, send } = await start(() => {})
    const clients = [await send('/1')]
    await until('the first is there', () => backend.requests.length === 1)
    clients.push(await send('/2'), await send('/3'))
    await until('all are there', () => backend.requests.length === 3)
    const order = backend.requests.map(({ target }) => target)
    clients[0].abort()
    // Whether the line is kept and the answer dropped, or ended and the rest replayed, none gets another's answer.
    backend.respond((seen, connection) => connection.write(echo(seen)))
    if (!backend.connections[0].closed)
      for (const target of order) backend.connections[0].write(echo({ target }))
    expect((await clients[1].response()).body.toString()).toBe('/2')
    expect((await clients[2].response()).body.toString()).toBe('/3')
  })

  test('a client that leaves in the middle of the line costs the others no replay', async () => {
    const { backend, send } = await start(() => {})
    const clients = [await send('/1')]
    await until('the first is there', () => backend.requests.length === 1)
    clients.push(await send('/2'), await send('/3'))
    await until('all are there', () => backend.requests.length === 3)
    const order = backend.requests.map(({ target }) => target)
    clients[order.indexOf('/2')].abort()
    const [connection] = backend.connections
    // A backend that takes its time: 200 ms for each.
    const from = performance.now()
    for (const [i, target] of order.entries()) {
      await until('it is time for the next answer', () => performance.now() - from > (i + 1) * 200)
      connection.write(echo({ target }))
    }
    expect((await clients[2].response()).body.toString()).toBe('/3')
    expect(backend.requests.map(({ target }) => target)).toEqual(order)
  })

  test('an unasked answer reaches nobody', async () => {
    const { backend, send } = await start((seen, connection) => connection.write(echo(seen)))
    await (await send('/1')).response()
    backend.connections[0].write(response({ body: 'evil' }))
    await until('the line is closed', () => backend.connections[0].closed)
    expect((await (await send('/2')).response()).body.toString()).toBe('/2')
  })

  test('an answer too many reaches nobody', async () => {
    const { answers, send } = await line((connection) => {
      for (const body of ['/1', '/2', '/3', 'evil']) connection.write(response({ body }))
    })
    expect(answers).toEqual([
      [200, '/1'],
      [200, '/2'],
      [200, '/3'],
    ])
    expect((await (await send('/4')).response()).body.toString()).toBe('/4')
  })
})
