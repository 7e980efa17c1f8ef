/** Over 300 lines: one running LB server with all services serves every part of the filter contract. */
import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Lb, neverOpens, startLb } from '../harness/lb.ts'
import { fieldValue, fieldValues, type RawRequest } from '../harness/message-reader.ts'
import { type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { chunked, type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))

const backends: RawBackend[] = []
let lb: Lb

const cleanup = untilFileEnds()
beforeAll(async () => {
  for (const name of ['a', 'b', 'other', 'shadow']) {
    backends.push(await rawBackend(answer(name), { cleanup }))
  }
  const [a, b, other, shadow] = backends.map(({ url }) => url)
  const inner = { use: 'steps', id: 'inner', name: 'inner' }
  const outer = { use: 'steps', id: 'outer', name: 'outer' }
  const breaker = neverOpens
  lb = await startLb(
    {
      node: { threads: 1 },
      plugins: ['./plugins/steps.ts', './plugins/rot13.ts'],
      listeners: { web: { address: '127.0.0.1:0' } },
      routes: [
        { match: { path: '/rot13' }, service: 'turned' },
        { match: { path: '/open' }, service: 'open' },
        { match: { path: '/short' }, service: 'short' },
        { service: 'app', filters: [outer] },
      ],
      services: {
        app: { backends: [a, b], breaker, filters: [inner], retries: { bodyBuffer: '1KiB' } },
        turned: { backends: [a], breaker, filters: ['rot13'] },
        open: {
          backends: [a],
          breaker,
          filters: [{ use: 'steps', id: 'open', name: 'open', failOpen: true }],
        },
        short: {
          backends: [a],
          breaker,
          filters: [{ use: 'steps', id: 'short', name: 'short', deadline: '200ms' }],
        },
        other: { backends: [other], breaker, filters: [{ use: 'steps', id: 'other', name: 'other' }] },
        shadow: { backends: [shadow], breaker, retries: { bodyBuffer: '1KiB' } },
      },
    },
    { directory, cleanup },
  )
})

beforeEach(async () => {
  for (const [i, backend] of backends.entries()) {
    await backend.clear()
    backend.respond(answer(['a', 'b', 'other', 'shadow'][i]))
  }
  lb.log.length = 0
})

function answer(name: string): Parameters<RawBackend['respond']>[0] {
  return (_, connection) => connection.write(response({ body: name }))
}

function seen(): string[] {
  return backends.flatMap(({ requests }) => requests.map(({ target }) => target))
}

const hooks = (): string[] =>
  lb.log.map(({ message }) => message).filter((message) => / on[A-Z]/.test(message))

async function ask(
  parts: Parameters<typeof request>[0],
): Promise<[Awaited<ReturnType<RawClient['response']>>, RawClient]> {
  const client = await rawClient(lb.port)
  return [await client.request(request(parts)), client]
}

describe('hooks', () => {
  test('run in order, the answer passes them in reverse, each once', async () => {
    const [seenByClient] = await ask({})
    expect(seenByClient.status).toBe(200)
    expect(fieldValues(seenByClient, 'x-seen-by')).toEqual([
      'inner inner-state false',
      'outer outer-state false',
    ])
    await until('onDone was logged', () => hooks().length === 8)
    expect(hooks()).toEqual([
      'outer onRequest',
      'inner onRequest',
      'outer onAttempt',
      'inner onAttempt',
      'inner onResponse',
      'outer onResponse',
      'inner onDone ok',
      'outer onDone ok',
    ])
  })

  test('onAttempt runs per try, and what it writes is sent with it', async () => {
    for (const backend of backends.slice(0, 2)) {
      backend.respond((_, connection) => {
        if (backends[0].requests.length + backends[1].requests.length === 1) connection.end()
        else connection.write(response({ body: 'ok' }))
      })
    }
    const [final] = await ask({})
    expect(final.status).toBe(200)
    const attempts = backends
      .slice(0, 2)
      .flatMap(({ requests }) => requests.map((one) => fieldValue(one, 'x-attempt')))
    expect(new Set(attempts).size).toBe(2)
    await until('onDone was logged', () => hooks().some((line) => line === 'outer onDone ok'))
    expect(hooks().filter((line) => line === 'inner onAttempt')).toHaveLength(2)
    expect(hooks().filter((line) => line === 'inner onRequest')).toHaveLength(1)
  })

  test('onDone comes after an abort too, once', async () => {
    for (const backend of backends) backend.script = {}
    const client = await rawClient(lb.port)
    client.write(request())
    await until('the request is at a backend', () => seen().length === 1)
    client.abort()
    await until('onDone was logged', () => hooks().includes('outer onDone client-abort'))
    expect(hooks().filter((line) => line.includes('onDone'))).toEqual([
      'inner onDone client-abort',
      'outer onDone client-abort',
    ])
  })

  test('edits of target and headers reach the backend', async () => {
    await ask({ fields: ['X-Do: outer:edit', 'X-Set: old', 'X-Remove: 1', 'X-Keep: 1'] })
    const [one] = backends.flatMap(({ requests }) => requests)
    expect(one.target).toBe('/edited?yes')
    expect(fieldValues(one, 'x-set')).toEqual(['new', 'more'])
    expect(fieldValues(one, 'x-remove')).toEqual([])
    expect(fieldValues(one, 'x-keep')).toEqual(['1'])
  })

  test('the status can be changed on the way back', async () => {
    const [final, client] = await ask({ fields: ['X-Status: 418'] })
    expect(final.status).toBe(418)
    expect((await client.request(request())).status).toBe(200)
  })

  test.each(['204', '304'])('changed to %s an answer loses its body', async (status) => {
    const [final, client] = await ask({ fields: [`X-Status: ${status}`] })
    expect(final.status).toBe(Number(status))
    expect(final.body).toHaveLength(0)
    expect((await client.request(request())).status).toBe(200)
  })

  test.each([
    'HTTP/1.1',
    'HTTP/1.0',
  ])('changed from 204 to 200 an answer has an end (%s)', async (version) => {
    for (const backend of backends)
      backend.respond((_, connection) => connection.write(response({ status: 204 })))
    const client = await rawClient(lb.port)
    const final = await client.request(
      request({ version, fields: ['X-Status: 200', 'Connection: keep-alive'] }),
    )
    expect(final.status).toBe(200)
    expect(final.body).toHaveLength(0)
  })

  test.each([
    '100',
    '101',
    '199',
    '600',
    '1000',
  ])('a status of %s is an error of the plugin', async (status) => {
    const [final] = await ask({ fields: [`X-Status: ${status}`] })
    expect(final.status).toBe(500)
  })

  test.each([
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'X-Bad',
  ])('an edit of %s in an answer is an error of the plugin', async (name) => {
    const [final] = await ask({ fields: [`X-Edit: ${name}`] })
    expect(final.status).toBe(500)
    expect(final.head).not.toMatch(/injected/i)
  })

  test.each([
    'bad-header',
    'bad-framing',
    'bad-target',
  ])('an edit that is not allowed is an error of the plugin: %s', async (what) => {
    const [final] = await ask({ fields: [`X-Do: outer:${what}`] })
    expect(final.status).toBe(500)
    expect(final.body.toString()).toContain('MR_PLUGIN_FAULT')
    expect(seen()).toEqual([])
  })
})

describe('respond', () => {
  test.each([
    'respond',
    'respond-later',
  ])('%s: no backend is asked, later filters are not entered', async (what) => {
    const [final, client] = await ask({ fields: [`X-Do: outer:${what}`] })
    expect([403, 401]).toContain(final.status)
    expect(['not today', 'who are you']).toContain(final.body.toString())
    expect(fieldValues(final, 'x-seen-by')).toEqual(['outer outer-state true'])
    expect(seen()).toEqual([])
    expect((await client.request(request())).status).toBe(200)
  })

  test.each([
    'respond-injected',
    'respond-100',
  ])('%s: what is not allowed is an error of the plugin', async (what) => {
    const [final] = await ask({ fields: [`X-Do: outer:${what}`] })
    expect(final.status).toBe(500)
    expect(final.head).not.toMatch(/injected/i)
    expect(seen()).toEqual([])
  })

  test('with framing of its own is an error of the plugin, or framed rightly', async () => {
    const [final, client] = await ask({ fields: ['X-Do: outer:respond-framed'] })
    expect([200, 500]).toContain(final.status)
    if (final.status === 200) expect(final.body.toString()).toBe('own')
    expect((await client.request(request())).status).toBe(200)
  })

  test('204 with a body: the body is left out', async () => {
    const [final, client] = await ask({ fields: ['X-Do: outer:respond-204'] })
    expect(final.status).toBe(204)
    expect((await client.request(request())).status).toBe(200)
  })

  test('by an inner filter passes the outer one', async () => {
    const [final] = await ask({ fields: ['X-Do: inner:respond'] })
    expect(fieldValue(final, 'x-why')).toBe('because')
    expect(fieldValues(final, 'x-seen-by')).toHaveLength(2)
    expect(seen()).toEqual([])
  })

  test('without a body, to HEAD, and to a request with a body', async () => {
    const [empty] = await ask({ fields: ['X-Do: outer:respond-empty'] })
    expect(empty.status).toBe(204)
    const [head] = await ask({ method: 'HEAD', fields: ['X-Do: outer:respond'] })
    expect(head.status).toBe(403)
    expect(head.body).toHaveLength(0)
    const [posted, client] = await ask({
      method: 'POST',
      fields: ['X-Do: outer:respond'],
      body: request({ target: '/smuggled' }),
    })
    expect(posted.status).toBe(403)
    client.write(request({ target: '/next' }))
    client.end()
    await client.ended()
    expect(seen()).not.toContain('/smuggled')
  })
})

describe('choosing', () => {
  test('prefer asks for a backend by its URL', async () => {
    for (const index of [0, 1, 1, 0, 0]) {
      const [final] = await ask({ fields: ['X-Do: outer:prefer', `X-Prefer: ${backends[index].url}`] })
      expect(final.body.toString()).toBe('ab'[index])
    }
  })

  test('a preferred backend that is not there is ignored', async () => {
    const [final] = await ask({ fields: ['X-Do: outer:prefer', 'X-Prefer: http://127.0.0.1:1'] })
    expect(final.status).toBe(200)
  })

  test('a preferred backend that fails is left for another', async () => {
    backends[0].respond((_, connection) => connection.end())
    const [final] = await ask({ fields: ['X-Do: outer:prefer', `X-Prefer: ${backends[0].url}`] })
    expect(final.body.toString()).toBe('b')
  })

  test('sendTo goes to another service, whose own filters run', async () => {
    const [final] = await ask({ fields: ['X-Do: outer:send-to', 'X-Service: other'] })
    expect(final.body.toString()).toBe('other')
    expect(fieldValues(final, 'x-seen-by').map((text) => text.split(' ')[0])).toContain('other')
  })

  test('sendTo to a service that does not exist is an error of the plugin', async () => {
    const [final] = await ask({ fields: ['X-Do: outer:send-to', 'X-Service: nowhere'] })
    expect(final.status).toBe(500)
    expect(seen()).toEqual([])
  })
})

describe('mirror', () => {
  const fields = ['X-Do: outer:mirror']

  test('sends a copy and ignores its answer', async () => {
    backends[3].respond((_, connection) => connection.write(response({ status: 500, body: 'shadow' })))
    const [final] = await ask({ method: 'POST', target: '/m?x', fields, body: 'hello' })
    expect(['a', 'b']).toContain(final.body.toString())
    const copy = await until('the copy arrived', () =>
      backends[3].requests.find(({ method }) => method === 'POST'),
    )
    expect(copy.startLine).toBe('POST /m?x HTTP/1.1')
    expect(copy.body.toString()).toBe('hello')
  })

  test('does not wait for the copy, and does not mind its failure', async () => {
    backends[3].script = {}
    const [silent] = await ask({ fields })
    expect(silent.status).toBe(200)
    backends[3].script = { onConnection: (connection) => connection.abort() }
    const [failing] = await ask({ fields })
    expect(failing.status).toBe(200)
  })

  test('copies chunked bodies too, but not longer ones than the buffer', async () => {
    const transfer = [...fields, 'Transfer-Encoding: chunked']
    const copies = (target: string): RawRequest[] =>
      backends[3].requests.filter((one) => one.target === target)
    await ask({ method: 'POST', target: '/chunked', fields: transfer, body: chunked(['hel', 'lo']) })
    await until('the copy arrived', () => copies('/chunked').length === 1)
    expect(copies('/chunked')[0].body.toString()).toBe('hello')
    const [long] = await ask({ method: 'POST', target: '/long', fields, body: 'x'.repeat(2_000) })
    expect(long.status).toBe(200)
    await ask({ method: 'POST', target: '/after', fields, body: 'x' })
    await until('the next copy arrived', () => copies('/after').length === 1)
    expect(copies('/long')).toEqual([])
  })
})

describe('bodies', () => {
  test.each([
    ['a length', 'Hello, World', undefined],
    ['chunks', chunked(['Hello', ', ', 'World']), 'Transfer-Encoding: chunked'],
  ])('with %s are transformed while they stream', async (_, body, framing) => {
    backends[0].respond((one, connection) =>
      connection.write(response({ fields: framing ? [framing] : [], body: framing ? body : one.body })),
    )
    const [final] = await ask({ method: 'POST', target: '/rot13', fields: framing ? [framing] : [], body })
    const [one] = backends[0].requests
    expect(one.body.toString()).toBe('Uryyb, Jbeyq!')
    expect(one.framing).toBe('chunked')
    expect(final.framing).toBe('chunked')
    expect(final.body.toString()).toBe(framing ? 'Uryyb, Jbeyq!' : 'Hello, World!!')
  })

  test('reach the client piece by piece, as the backend sends them', async () => {
    backends[0].respond((_, connection) =>
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
    )
    const client = await rawClient(lb.port)
    client.write(request({ target: '/rot13' }))
    for (const piece of ['first', 'second', 'third']) {
      await until('the head is at the backend', () => backends[0].requests.length === 1)
      backends[0].connections[0].write(chunked([piece]).slice(0, -5))
      const turned = { first: 'svefg', second: 'frpbaq', third: 'guveq' }[piece] ?? ''
      await until(`the client saw the ${piece} piece`, () => client.text.includes(turned))
    }
    backends[0].connections[0].write('0\r\n\r\n')
    expect((await client.response()).body.toString()).toBe('svefgfrpbaqguveq!')
  })

  test('reach the backend piece by piece, as the client sends them', async () => {
    const client = await rawClient(lb.port)
    client.write(request({ method: 'POST', target: '/rot13', fields: ['Content-Length: 11'] }))
    client.write('first')
    await until('the backend saw the first piece', () => {
      return backends[0].connections[0]?.received.toString().includes('svefg')
    })
    client.write('second')
    expect((await client.response()).status).toBe(200)
  })

  test('of megabytes are transformed whole, and back-pressure holds', async () => {
    const body = 'abcdefghijklm'.repeat(100_000)
    backends[0].respond((_, connection) => connection.write(response({ body })))
    const client = await rawClient(lb.port)
    client.write(request({ method: 'POST', target: '/rot13', body }))
    const final = await client.response()
    const turned = `${'nopqrstuvwxyz'.repeat(100_000)}!`
    expect(backends[0].requests[0].body.toString() === turned).toBe(true)
    expect(final.body.toString() === turned).toBe(true)
  })

  test('are left alone where the answer has none', async () => {
    backends[0].respond((_, connection) => connection.write(response({ status: 204 })))
    const [final, client] = await ask({ target: '/rot13' })
    expect(final.status).toBe(204)
    expect((await client.request(request({ method: 'HEAD', target: '/rot13' }))).status).toBe(204)
  })

  test('to HTTP/1.0 end with the connection', async () => {
    const [final] = await ask({ target: '/rot13', version: 'HTTP/1.0' })
    expect(final.framing).toBe('close')
    expect(final.body.toString()).toBe('n!')
  })

  test('can be read whole, and are forwarded all the same', async () => {
    const [final] = await ask({ method: 'POST', fields: ['X-Do: outer:read-body'], body: 'x'.repeat(100) })
    expect(final.status).toBe(200)
    const [one] = backends.flatMap(({ requests }) => requests)
    expect(fieldValue(one, 'x-length')).toBe('100')
    expect(one.body).toHaveLength(100)
  })

  test('longer than the filter takes are a 413', async () => {
    const [final] = await ask({ method: 'POST', fields: ['X-Do: outer:read-body'], body: 'x'.repeat(101) })
    expect(final.status).toBe(413)
    expect(seen()).toEqual([])
  })
})

describe('bodies that do not go straight through', () => {
  test('cut short by the backend: the client is aborted, the transform is not given an end', async () => {
    backends[0].respond((_, connection) =>
      connection.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nsome'),
    )
    const client = await rawClient(lb.port)
    client.write(request({ target: '/rot13' }))
    expect(await client.ended()).not.toBe('open')
    expect(client.responses).toEqual([])
    expect(client.text).not.toContain('!')
  })

  test('cut short by the client: the backend never sees an end', async () => {
    const client = await rawClient(lb.port)
    client.write(request({ method: 'POST', target: '/rot13', fields: ['Content-Length: 50'], body: 'some' }))
    await until('the head is at the backend', () => backends[0].connections[0]?.reader.current)
    client.abort()
    await until('the backend connection is closed', () => backends[0].open.length === 0)
    expect(backends[0].requests).toEqual([])
  })

  test('are never turned twice when a kept-alive connection is closed under them', async () => {
    backends[0].respond((_, connection) => {
      if (connection.requests.length === 1) connection.write(response({ status: 204 }))
      else connection.end()
    })
    const client = await rawClient(lb.port)
    await client.request(request({ target: '/rot13' }))
    const answer = await client.request(request({ method: 'PUT', target: '/rot13/again', body: 'hello' }))
    expect([204, 502]).toContain(answer.status)
    const bodies = backends[0].requests
      .filter(({ method }) => method === 'PUT')
      .map(({ body }) => body.toString())
    expect(new Set(bodies)).toEqual(new Set(['uryyb!']))
  })

  test('that wait for a 100 are given one when a filter reads them', async () => {
    const client = await rawClient(lb.port)
    const fields = ['Expect: 100-continue', 'Content-Length: 5', 'X-Do: outer:read-body']
    client.write(request({ method: 'POST', fields }))
    await until('the client is told to go on', () => client.text.startsWith('HTTP/1.1 100'))
    client.write('hello')
    expect((await client.response()).status).toBe(200)
    const [one] = backends.flatMap(({ requests }) => requests)
    expect(one.body.toString()).toBe('hello')
    // The client has been told to go on; asking the backend to tell it again would be a second 100.
    expect(fieldValue(one, 'expect')).toBeUndefined()
  })

  test('that are empty keep their Content-Length: 0', async () => {
    await ask({ method: 'POST', fields: ['Content-Length: 0'] })
    expect(fieldValues(backends.flatMap(({ requests }) => requests)[0], 'content-length')).toEqual(['0'])
  })

  test('that wait for a 100 are refused by a filter without one', async () => {
    const client = await rawClient(lb.port)
    const fields = ['Expect: 100-continue', 'Content-Length: 5', 'X-Do: outer:respond']
    const answer = await client.request(request({ method: 'POST', fields }))
    expect(answer.status).toBe(403)
    expect(answer.informational).toEqual([])
    // Whether the body follows is unknown: what comes next must not be read as a request.
    client.write(request({ target: '/as-body' }))
    client.end()
    await client.ended()
    expect(seen()).toEqual([])
  })
})

describe('faults', () => {
  test.each(['throw', 'reject'])('%s in onRequest: 500, and the log names plugin and hook', async (what) => {
    const [final] = await ask({ fields: [`X-Do: outer:${what}`] })
    expect(final.status).toBe(500)
    expect(final.body.toString()).toContain('MR_PLUGIN_FAULT')
    expect(final.body.toString()).not.toContain('on purpose')
    expect(seen()).toEqual([])
    await until('the fault was logged', () =>
      lb.log.some((line) => /steps/.test(JSON.stringify(line)) && line.level === 'error'),
    )
    const line = lb.log.find(({ level }) => level === 'error')
    expect(JSON.stringify(line)).toContain('onRequest')
  })

  test('in onResponse: 500 instead of the answer', async () => {
    const [final] = await ask({ fields: ['X-Do: throw-late'] })
    expect(final.status).toBe(500)
    const [again] = await ask({})
    expect(again.status).toBe(200)
  })

  test('failOpen skips the filter', async () => {
    const [final] = await ask({ target: '/open', fields: ['X-Do: throw'] })
    expect(final.status).toBe(200)
    expect(final.body.toString()).toBe('a')
  })

  test('a hook that never ends is cut off at its deadline', async () => {
    const from = performance.now()
    const [final] = await ask({ target: '/short', fields: ['X-Do: hang'] })
    expect(performance.now() - from).toBeLessThan(3_000)
    expect(final.status).toBe(500)
    expect(seen()).toEqual([])
  })

  test.each([
    undefined,
    'hello',
  ])('a client that leaves while a hook runs fires its signal (body: %s)', async (body) => {
    const client = await rawClient(lb.port)
    client.write(request({ method: 'PUT', fields: ['X-Do: outer:hang'], body }))
    await until('the hook runs', () => hooks().includes('outer onRequest'))
    client.abort()
    await until('the exchange is done', () => hooks().some((line) => line.startsWith('outer onDone')))
    expect(seen()).toEqual([])
  })

  test('services that send to each other for ever are cut off', async () => {
    const [final] = await ask({ fields: ['X-Do: *:ping-pong'] })
    expect(final.status).toBe(500)
    expect(seen()).toEqual([])
    expect((await ask({}))[0].status).toBe(200)
  })
})
