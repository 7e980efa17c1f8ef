/** `mirror` and `canary`: the filters that know of another service. */
import type { Filter, FilterExchange } from 'millrace'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { builtIn, PluginRegistry } from '../../../core/host/registry.ts'
import { builtins } from '../../../plugins/manifest.ts'
import { load, places, problemsOf, web } from '../../config/load-text.ts'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { fieldValue } from '../../harness/message-reader.ts'
import { type RawBackend, rawBackend, response } from '../../harness/raw-backend.ts'
import { chunked } from '../../harness/raw-client.ts'
import { until } from '../../harness/until.ts'
import { threadContext } from '../fake-context.ts'
import { builtin, filter, parsed } from '../make.ts'
import { freshBackend, type Served, serve } from './serve.ts'

const answerOther: Parameters<RawBackend['respond']>[0] = (_, connection) =>
  connection.write(response({ body: 'other' }))
let other: RawBackend
/** Never answers. */
let mute: RawBackend
let served: Served
const cleanup = untilFileEnds()
beforeAll(async () => {
  other = await rawBackend(answerOther, { cleanup })
  mute = await rawBackend({}, { cleanup })
  const header = { name: 'X-Canary', always: ['on', 'yes'], never: ['off'] }
  served = await serve(
    cleanup,
    {
      copied: [
        { use: 'headers', request: { set: { 'X-Set': '1' } } },
        { use: 'mirror', to: 'other' },
      ],
      bent: [
        { use: 'rewrite', stripPrefix: '/bent' },
        { use: 'mirror', to: 'other' },
      ],
      limited: [
        { use: 'body-limit', limit: '1KiB' },
        { use: 'mirror', to: 'other' },
      ],
      refused: [{ use: 'mirror', to: 'down' }],
      unanswered: [{ use: 'mirror', to: 'mute' }],
      chosen: [{ use: 'canary', to: 'other', header }],
      any: [{ use: 'canary', to: 'other', header: { name: 'x-canary' } }],
      all: [{ use: 'canary', to: 'other', share: '100%', header }],
    },
    undefined,
    {
      // Nobody listens on port 1.
      down: { backends: ['http://127.0.0.1:1'] },
      mute: { backends: [mute.url] },
      other: {
        backends: [other.url],
        filters: [{ use: 'headers', request: { set: { 'X-Own': 'filter' } } }],
        retries: { bodyBuffer: '1KiB' },
      },
    },
  )
})
freshBackend(() => served)
beforeEach(async () => {
  await other.clear()
  other.respond(answerOther)
})

const copy = () => until('the copy arrived', () => other.requests[0])

describe('mirror', () => {
  test('sends a copy as the filters before have left it, and answers with the original', async () => {
    const answer = await served.ask('copied', { method: 'POST', target: '/x?y', body: 'hello' })
    expect(answer.body.toString()).toBe('ok')
    const one = await copy()
    expect(one.startLine).toBe('POST /copied/x?y HTTP/1.1')
    expect([fieldValue(one, 'x-set'), fieldValue(one, 'x-own'), one.body.toString()]).toEqual([
      '1',
      undefined,
      'hello',
    ])
    await served.ask('bent', { target: '/z' })
    await until('the next copy arrived', () => other.requests[1]?.target === '/z')
  })

  test.each(['copied', 'refused', 'unanswered'])('does not mind what becomes of it: %s', async (chain) => {
    other.respond((_, connection) => connection.write(response({ status: 500, body: 'no' })))
    const answer = await served.ask(chain)
    expect([answer.status, answer.body.toString()]).toEqual([200, 'ok'])
    // A copy that came later would be the next test's.
    if (chain === 'copied') await copy()
    if (chain === 'unanswered') await until('the copy arrived', () => mute.requests[0])
  })

  test('copies a body in chunks that another filter watches', async () => {
    const fields = ['Transfer-Encoding: chunked']
    await served.ask('limited', { method: 'POST', fields, body: chunked(['hel', 'lo']) })
    expect((await copy()).body.toString()).toBe('hello')
  })

  test('copies a share', async () => {
    const plugin = builtin('filter', 'mirror')
    const instance: Filter = await plugin.create(threadContext(), parsed(plugin, { to: 'x', share: '10%' }))
    let copies = 0
    const exchange = { mirror: () => copies++ } as unknown as FilterExchange
    for (let i = 0; i < 10_000; i++) instance.onRequest?.(exchange)
    expect(copies / 10_000).toBeGreaterThan(0.08)
    expect(copies / 10_000).toBeLessThan(0.12)
  })
})

describe('canary', () => {
  const ask = async (chain: string, value?: string): Promise<string> =>
    (await served.ask(chain, { fields: value === undefined ? [] : [`X-Canary: ${value}`] })).body.toString()

  test('goes by the header, and to the filters of the other service', async () => {
    expect(await ask('chosen', 'on')).toBe('other')
    expect(fieldValue(other.requests[0], 'x-own')).toBe('filter')
    expect([await ask('chosen'), await ask('chosen', 'no'), await ask('chosen', 'off')]).toEqual([
      'ok',
      'ok',
      'ok',
    ])
    expect([await ask('any'), await ask('any', 'whatever')]).toEqual(['ok', 'other'])
  })

  test('goes by the share where the header does not decide', async () => {
    expect([await ask('all'), await ask('all', 'no'), await ask('all', 'off')]).toEqual([
      'other',
      'other',
      'ok',
    ])
  })

  async function shareOf(options: object): Promise<(client: string) => boolean> {
    const plugin = builtin('filter', 'canary')
    const instance: Filter = await plugin.create(threadContext(), parsed(plugin, { to: 'x', ...options }))
    return (client) => {
      let sent = false
      const request = { clientAddress: client, headers: { get: () => undefined } }
      const exchange = { request, sendTo: () => (sent = true) } as unknown as FilterExchange
      instance.onRequest?.(exchange)
      return sent
    }
  }

  test('keeps a client on its side, also when the share grows', async () => {
    const [few, more] = [
      await shareOf({ share: '10%', key: 'client-ip' }),
      await shareOf({ share: '30%', key: 'client-ip' }),
    ]
    const clients = Array.from({ length: 5000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    const sent = clients.filter(few)
    expect(sent.length / clients.length).toBeGreaterThan(0.08)
    expect(sent.length / clients.length).toBeLessThan(0.12)
    expect(sent.every(few)).toBe(true)
    expect(sent.every(more)).toBe(true)
    expect(clients.filter(more).length / clients.length).toBeGreaterThan(0.26)
  })

  test('draws each request where nothing keeps clients together', async () => {
    const half = await shareOf({ share: 0.5 })
    const sent = Array.from({ length: 2000 }, () => half('10.0.0.1')).filter(Boolean)
    expect(sent.length).toBeGreaterThan(900)
    expect(sent.length).toBeLessThan(1100)
  })

  test('that never does anything is refused', async () => {
    await expect(filter('canary', { to: 'other' })).rejects.toThrow(/share above 0%/)
  })
})

describe('a service that does not exist', () => {
  const text = (filters: string, service = '') =>
    `${web}routes: [{ service: shop, filters: ${filters} }]\nservices: { shop: { backends: []${service} } }\n`

  test('is refused when the config is read, with what was meant', async () => {
    const registry = new PluginRegistry()
    for (const plugin of builtins) registry.add(builtIn(plugin))
    const problems = await problemsOf(text('[{ use: mirror, to: shopp }]'), { plugins: registry.catalog() })
    expect(places(problems)).toEqual(['MR_CONFIG_REFERENCE 2:56 routes[0].filters[0].to'])
    expect(problems[0].suggestion).toBe('did you mean "shop"?')
    await load(text('[{ use: canary, to: shop, share: 1% }]'), { plugins: registry.catalog() })
  })
})
