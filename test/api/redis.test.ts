/** The API over a real Redis: what is changed through one server is seen through another. */
import { expect, test } from 'vitest'
import { startRedis } from '../harness/redis.ts'
import { makeStore } from '../harness/redis-store.ts'
import { apiOf, config } from './harness.ts'

test('two APIs over one Redis: changes of either are seen by both, at the same time too', async () => {
  const redis = await startRedis()
  const [{ store: left }, { store: right }] = await Promise.all([
    makeStore({ url: redis.url }),
    makeStore({ url: redis.url }),
  ])
  const [a, b] = [await apiOf({ store: left }), await apiOf({ store: right })]
  await a.put(config([]), 'the first')
  expect((await b.ask('GET', '/v1/config')).body).toEqual(config([]))
  const urls = Array.from({ length: 8 }, (_, n) => `http://127.0.0.1:${9100 + n}`)
  const add = (url: string, n: number) =>
    (n % 2 === 0 ? a : b).ask('POST', '/v1/services/shop/backends', { body: { url } })
  const answers = await Promise.all(urls.map(add))
  expect(answers.map(({ status }) => status)).toEqual(urls.map(() => 200))
  const { body } = await b.ask('GET', '/v1/services/shop/backends')
  expect(body.backends.map(({ url }: { url: string }) => url).sort()).toEqual(urls)
  const decided = await b.ask('PUT', '/v1/services/shop/breaker', { body: { mode: 'open', reason: 'x' } })
  expect(decided.status).toBe(200)
  expect((await a.ask('GET', '/v1/overrides')).body.breakers).toMatchObject([
    { service: 'shop', mode: 'open' },
  ])
  const stale = await a.ask('PUT', '/v1/config', { body: config(), headers: { 'if-match': '"1"' } })
  expect(stale).toMatchObject({ status: 412, body: { code: 'MR_REVISION_STALE' } })
  expect(stale.body.between).toHaveLength(8)
})

test('a store that is gone: 503 that says so, for reads and writes; both go on when it is back', async () => {
  const redis = await startRedis({ aof: true })
  const { store } = await makeStore({ url: redis.url, timeout: '500ms' })
  const api = await apiOf({ store })
  await api.put(config())
  await redis.kill()
  for (const [method, path, body] of [
    ['GET', '/v1/config', undefined],
    ['GET', '/v1/nodes', undefined],
    ['PUT', '/v1/services/shop/breaker', { mode: 'open', reason: 'x' }],
    ['POST', '/v1/services/shop/backends', { url: 'http://127.0.0.1:9009' }],
  ] as const)
    expect(await api.ask(method, path, { body })).toMatchObject({
      status: 503,
      body: { code: 'MR_STORE_UNAVAILABLE' },
    })
  await redis.start()
  await expect.poll(async () => (await api.ask('GET', '/v1/config')).status, { timeout: 20_000 }).toBe(200)
  expect(
    (await api.ask('POST', '/v1/services/shop/backends', { body: { url: 'http://127.0.0.1:9009' } })).status,
  ).toBe(200)
})
