/** `exchange` of the kit: what an author of a filter learns from one exchange. */
import { definePlugin, type Filter, type ThreadContext, z } from 'millrace'
import { type ExchangeSetup, exchange } from 'millrace/conformance'
import { describe, expect, test } from 'vitest'
import { LeakWatch } from '../conformance/leaks.ts'

const filter = (create: (context: ThreadContext, options: { word: string }) => Filter) =>
  definePlugin({
    api: 1,
    kind: 'filter',
    name: 'own',
    options: z.strictObject({ word: z.string().default('plain') }),
    create,
  })

const marking = filter((_context, { word }) => ({
  onRequest({ request }) {
    request.target = `${request.path}/${word}`
    request.headers.set('X-Word', word)
  },
  onResponse: ({ response }) => response?.headers.append('X-Word', `${word} ${response.own}`),
}))

const gate = filter((context) => {
  const refused = context.metrics.counter('refused_total', 'Refused')
  const last = context.metrics.gauge('last', 'Length of the last path')
  return {
    onRequest(exchange) {
      last.set(exchange.request.path.length)
      if (exchange.request.headers.has('x-key')) return
      refused.add()
      exchange.respond({ status: 401, headers: { 'X-Why': 'no key' }, body: 'who are you' })
    },
    onDone: ({ outcome, attempts }) => context.log.info('done', { outcome, attempts }),
  }
})

describe('one exchange through the proxy itself', () => {
  test('tells what the backend saw and what the client got', async () => {
    const { client, backend, requests, outcome, errorCode } = await exchange(marking, {
      options: { word: 'blue' },
      request: { method: 'POST', path: '/a', headers: { 'X-Own': '1', host: 'other.test' }, body: 'sent' },
      backend: { status: 203, headers: { 'X-From': 'backend', 'X-Word': 'first' }, body: 'answered' },
    })
    expect(backend).toMatchObject({ service: 'app', method: 'POST', path: '/a/blue', body: 'sent' })
    expect(backend?.headers).toMatchObject({ 'x-word': 'blue', 'x-own': '1', host: 'other.test' })
    expect(backend?.headers['x-forwarded-for']).toBe('127.0.0.1')
    expect(client).toMatchObject({ status: 203, body: 'answered', isWhole: true })
    expect(client.headers).toMatchObject({ 'x-from': 'backend', 'x-word': 'first, blue false' })
    expect({ requests, outcome, errorCode }).toEqual({
      requests: [backend],
      outcome: 'ok',
      errorCode: undefined,
    })
  })

  test('has defaults for everything', async () => {
    const { client, backend } = await exchange(marking)
    expect(backend).toMatchObject({ method: 'GET', path: '//plain', body: '' })
    expect(client).toMatchObject({ status: 200, body: 'ok' })
  })

  test('shows an answer of the filter’s own, what it counted and what it logged', async () => {
    const { client, backend, requests, metrics, log } = await exchange(gate, { request: { path: '/abc' } })
    expect(client).toMatchObject({ status: 401, body: 'who are you', headers: { 'x-why': 'no key' } })
    expect({ backend, requests }).toEqual({ backend: undefined, requests: [] })
    expect(metrics).toEqual({ refused_total: 1, last: 4 })
    expect(log).toEqual([
      {
        level: 'info',
        message: 'done',
        fields: expect.objectContaining({ outcome: 'ok', attempts: 0, plugin: 'own' }),
      },
    ])
  })

  test('lets the backend answer by what it was sent, or break off', async () => {
    const headers = { 'x-key': '1' }
    const echoed = await exchange(gate, {
      request: { method: 'PUT', headers, body: 'twice' },
      backend: ({ method, body }) => ({ body: `${method} ${body} ${body}` }),
    })
    expect(echoed.client.body).toBe('PUT twice twice')
    const { client, outcome, errorCode, log } = await exchange(gate, {
      request: { headers },
      backend: () => undefined,
    })
    expect(client.status).toBe(502)
    expect({ outcome, errorCode }).toEqual({ outcome: 'error', errorCode: 'MR_UPSTREAM_CLOSED' })
    // A hook has run to the end before the result is given.
    expect(log).toMatchObject([{ message: 'done', fields: { outcome: 'error' } }])
  })

  test('shows a fault of the filter, with its line', async () => {
    const returning = filter(() => ({ onRequest: () => ({ status: 401 }) }) as unknown as Filter)
    const failed = await exchange(returning)
    expect([failed.client.status, failed.errorCode]).toEqual([500, 'MR_PLUGIN_FAULT'])
    expect(failed.log).toMatchObject([
      { level: 'error', message: expect.stringContaining('exchange.respond') },
    ])
    const open = await exchange(returning, { options: { failOpen: true } })
    expect(open.client.status).toBe(200)
    const late = filter(() => ({ onRequest: () => new Promise(() => {}) }))
    const { errorCode, log } = await exchange(late, { options: { deadline: '20ms' } })
    expect(errorCode).toBe('MR_PLUGIN_TIMEOUT')
    expect(log[0].message).toContain('it missed its deadline of 20 ms')
  })

  test('has other services to send on to, and to mirror to', async () => {
    const splitting = filter(() => ({
      onRequest(exchange) {
        exchange.mirror('shadow')
        exchange.sendTo('canary')
      },
    }))
    const { client, backend, requests } = await exchange(splitting, {
      services: ['canary', 'shadow'],
      backend: ({ service }) => ({ body: service }),
    })
    expect([client.body, backend?.service]).toEqual(['canary', 'canary'])
    expect(requests.map(({ service }) => service).sort()).toEqual(['canary', 'shadow'])
  })

  test('has memory that hooks share, by name', async () => {
    const counting = filter((context) => {
      const cells = new Int32Array(context.shared('cells', 4).buffer)
      return {
        onRequest: () => void cells[0]++,
        onResponse: ({ response }) =>
          response?.headers.set('x-count', String(new Int32Array(context.shared('cells', 4).buffer)[0])),
      }
    })
    expect((await exchange(counting)).client.headers['x-count']).toBe('1')
  })
})

describe('what cannot be run is said', () => {
  test('wrong options, a create that throws, another kind', async () => {
    await expect(exchange(marking, { options: { wrod: 'a' } })).rejects.toMatchObject({
      code: 'MR_PLUGIN_OPTIONS',
      message: expect.stringContaining('did you mean "word"?'),
    })
    const throwing = filter(() => {
      throw new Error('no database')
    })
    await expect(exchange(throwing)).rejects.toMatchObject({
      code: 'MR_PLUGIN_CREATE',
      message: expect.stringContaining('no database'),
    })
    const other = { ...marking, kind: 'algorithm' } as unknown as typeof marking
    await expect(exchange(other)).rejects.toThrow('exchange runs filters; own is of kind algorithm')
  })

  test('what the author’s backend throws', async () => {
    const backend = (): never => {
      throw new Error('an assertion of the author')
    }
    await expect(exchange(marking, { backend })).rejects.toThrow('an assertion of the author')
  })
})

describe('it leaves nothing behind', () => {
  let released = ''
  const holding = filter((context) => {
    context.clock.every(1000, () => {})
    context.defer(async () => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      released = 'in time'
    })
    return {
      onRequest({ request }) {
        if (request.path === '/late') return new Promise(() => {})
      },
    }
  })

  test.each<[string, ExchangeSetup]>([
    ['an answer', {}],
    ['a backend that breaks off', { backend: () => undefined }],
    ['no answer in time', { request: { path: '/late' }, timeoutMs: 200 }],
    ['options that are refused', { options: { wrod: 1 } }],
  ])('after %s', async (what, setup) => {
    released = ''
    const watch = new LeakWatch()
    const running = watch.run(() => exchange(holding, setup))
    const ended = await running.then(
      () => 'result',
      (error: Error) => error.message,
    )
    if (what === 'no answer in time') expect(ended).toBe('no whole answer in 200 ms')
    if (!what.startsWith('options')) expect(released).toBe('in time')
    expect(await watch.left()).toEqual([])
  })
})
