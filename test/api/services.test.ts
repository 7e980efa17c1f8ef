/** Services and backends as resources: each change is an edit of the config that others may be editing too. */
import { describe, expect, test } from 'vitest'
import { editDocument } from '../../core/config/sync/put.ts'
import { configDocument, configSchema, decodeConfig, encodeConfig } from '../../core/config/sync/value.ts'
import type { ConfigStore } from '../../core/contracts/config-store.ts'
import { systemClock } from '../../core/host/clock.ts'
import { type Api, apiOf, config } from './harness.ts'

const [one, two] = ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'] as const
const path = (url: string): string => `/v1/services/shop/backends/${encodeURIComponent(url)}`

async function started(): Promise<Api> {
  const api = await apiOf()
  await api.put(config([one, { url: two, weight: 3, zone: 'a' }]))
  return api
}

const backendsOf = async (api: Api): Promise<unknown> =>
  ((await api.config()) as ReturnType<typeof config>).services.shop.backends

describe('reading', () => {
  test('all services, one, its backends, one of them; each with the revision as ETag', async () => {
    const api = await started()
    const etag = `"1-${(await api.store.get('config'))?.revision.id}"`
    const first = { url: one, weight: 1, zone: '', tags: [], priority: 0 }
    const second = { url: two, weight: 3, zone: 'a', tags: [], priority: 0 }
    const shop = { name: 'shop', backends: [first, second], settings: { algorithm: 'round-robin' } }
    for (const [at, body] of [
      ['/v1/services', { services: [shop] }],
      ['/v1/services/shop', shop],
      ['/v1/services/shop/backends', { backends: [first, second] }],
      [path(two), second],
      [path('HTTP://127.0.0.1:9002/'), second],
    ] as const) {
      const answer = await api.ask('GET', at, { who: 'read' })
      expect(answer).toMatchObject({ status: 200 })
      expect(answer.body).toEqual(body)
      expect(answer.headers.get('etag')).toBe(etag)
    }
  })

  test('what is not there: 404, with what there is', async () => {
    const api = await started()
    expect(await api.ask('GET', '/v1/services/shpo')).toMatchObject({
      status: 404,
      body: { code: 'MR_SERVICE_UNKNOWN', path: 'path.service', hint: 'did you mean shop?' },
    })
    expect(await api.ask('GET', path('http://127.0.0.1:1'))).toMatchObject({
      status: 404,
      body: { code: 'MR_NOT_FOUND', path: 'path.backend', hint: expect.stringContaining(one) },
    })
    expect(await api.ask('GET', path('nonsense'))).toMatchObject({
      status: 400,
      body: { code: 'MR_BAD_REQUEST', path: 'path.backend' },
    })
  })
})

describe('backends', () => {
  test('added, weighed, removed; the others stay as they were written', async () => {
    const api = await started()
    const added = await api.ask('POST', '/v1/services/shop/backends?message=more', {
      who: 'operate',
      body: { url: 'http://127.0.0.1:9003', tags: ['new'] },
    })
    expect(added).toMatchObject({ status: 200, body: { revision: 2, before: 1, changed: true } })
    expect(added.headers.get('etag')).toBe(`"2-${added.body.id}"`)
    expect((await api.store.get('config'))?.note).toMatchObject({ by: 'operate', message: 'more' })
    const weight = await api.ask('PUT', `${path(one)}/weight`, { who: 'operate', body: { weight: 0 } })
    expect(weight).toMatchObject({ status: 200, body: { revision: 3 } })
    expect(await backendsOf(api)).toEqual([
      { url: one, weight: 0 },
      { url: two, weight: 3, zone: 'a' },
      { url: 'http://127.0.0.1:9003', tags: ['new'] },
    ])
    const removed = await api.ask('DELETE', path(two), { who: 'operate' })
    expect(removed).toMatchObject({ status: 200, body: { revision: 4 } })
    expect(await backendsOf(api)).toEqual([
      { url: one, weight: 0 },
      { url: 'http://127.0.0.1:9003', tags: ['new'] },
    ])
    const again = await api.ask('PUT', `${path(one)}/weight`, { body: { weight: 0 } })
    expect(again.body).toMatchObject({ revision: 4, changed: false })
  })

  test('one that is there already is a conflict, whatever way it is written', async () => {
    const api = await started()
    const answer = await api.ask('POST', '/v1/services/shop/backends', {
      body: { url: 'http://127.0.0.1:9001/' },
    })
    expect(answer).toMatchObject({ status: 409, body: { code: 'MR_CONFLICT', path: 'url' } })
    expect(await api.revision()).toBe(1)
  })

  test('If-Match holds a change to the revision that was seen', async () => {
    const api = await started()
    const stale = await api.ask('DELETE', path(one), { headers: { 'if-match': '"7"' } })
    expect(stale).toMatchObject({ status: 412, body: { code: 'MR_REVISION_STALE' } })
    const right = await api.ask('DELETE', path(one), { headers: { 'if-match': '"1"' } })
    expect(right.status).toBe(200)
  })

  test('many who add at the same time are all served', async () => {
    const api = await started()
    const urls = Array.from({ length: 20 }, (_, n) => `http://127.0.0.1:${9100 + n}`)
    const answers = await Promise.all(
      urls.map((url) => api.ask('POST', '/v1/services/shop/backends', { body: { url } })),
    )
    expect(answers.map(({ status }) => status)).toEqual(urls.map(() => 200))
    expect(await api.revision()).toBe(21)
    expect((await backendsOf(api)) as unknown[]).toHaveLength(22)
  })

  test('nothing is lost between an API and another writer of the same store', async () => {
    const api = await started()
    let n = 0
    const other = async (url: string): Promise<void> => {
      const result = await editDocument(
        {
          store: api.store,
          clock: systemClock,
          newId: () => `other-${++n}-${Math.random().toString(36).slice(2)}`,
        },
        configDocument,
        (head) => {
          const data = decodeConfig(head?.value ?? null, configSchema) as ReturnType<typeof config>
          data.services.shop.backends = [...data.services.shop.backends, url]
          return { value: encodeConfig(data), note: { by: 'other' } }
        },
        1000,
      )
      expect(result.status).toBe('committed')
    }
    const urls = Array.from({ length: 12 }, (_, index) => `http://127.0.0.1:${9200 + index}`)
    await Promise.all([
      ...urls.slice(0, 6).map((url) => api.ask('POST', '/v1/services/shop/backends', { body: { url } })),
      ...urls.slice(6).map(other),
    ])
    const written = ((await backendsOf(api)) as unknown[]).map(
      (entry) => (entry as { url?: string }).url ?? entry,
    )
    for (const url of urls) expect(written).toContain(url)
  })
})

/** A store in which somebody else always comes first. */
function overtaken(store: ConfigStore): ConfigStore {
  let n = 0
  return new Proxy(store, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      if (key !== 'put') return value.bind(target)
      return async (...args: Parameters<ConfigStore['put']>) => {
        const head = await target.get(args[0])
        const note = { by: 'rival', message: `rival ${++n}` }
        await target.put(
          args[0],
          encodeConfig(config([`http://127.0.0.1:${10_000 + n}`])),
          head?.revision ?? null,
          `rival-${n}`,
          note,
        )
        return target.put(...args)
      }
    },
  })
}

test('whoever is overtaken again and again is told so in the end, and has changed nothing', async () => {
  const plain = await started()
  const api = await apiOf({ store: overtaken(plain.store) })
  const answer = await api.ask('POST', '/v1/services/shop/backends', {
    body: { url: 'http://127.0.0.1:9003' },
  })
  expect(answer).toMatchObject({ status: 409, body: { code: 'MR_CONFLICT' } })
  expect(JSON.stringify(await plain.config())).not.toContain('9003')
  const expected = await api.ask('DELETE', path(one), { headers: { 'if-match': '*' } })
  expect(expected.status).toBe(404)
})

describe('services', () => {
  test('added, replaced, removed', async () => {
    const api = await started()
    const add = { headers: { 'if-none-match': '*' } }
    const api1 = { backends: ['http://127.0.0.1:9010'] }
    expect(await api.ask('PUT', '/v1/services/api', { body: api1, ...add })).toMatchObject({
      status: 200,
      body: { revision: 2 },
    })
    expect(await api.ask('PUT', '/v1/services/api', { body: api1, ...add })).toMatchObject({
      status: 412,
      body: { code: 'MR_REVISION_STALE', path: 'headers.if-none-match' },
    })
    const replaced = await api.ask('PUT', '/v1/services/api', { body: { ...api1, algorithm: 'random' } })
    expect(replaced.body).toMatchObject({ revision: 3 })
    expect((await api.ask('DELETE', '/v1/services/api')).body).toMatchObject({ revision: 4 })
    expect(await api.config()).toEqual(config([one, { url: two, weight: 3, zone: 'a' }]))
    expect((await api.ask('DELETE', '/v1/services/api')).status).toBe(404)
  })

  test('one that a route leads to stays', async () => {
    const api = await started()
    expect(await api.ask('DELETE', '/v1/services/shop')).toMatchObject({
      status: 422,
      body: { code: 'MR_CONFIG_REFERENCE', path: 'routes[0].service' },
    })
    expect(await api.revision()).toBe(1)
  })
})
