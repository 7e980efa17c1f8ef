/** Breakers and drains in the store: decided, seen, taken back. */
import { expect, test } from 'vitest'
import { decodeOverrides, overridesDocument } from '../../core/config/overrides.ts'
import { type Api, apiOf, config } from './harness.ts'

const [one, two] = ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'] as const
const breaker = '/v1/services/shop/breaker'
const drain = `/v1/services/shop/backends/${encodeURIComponent(one)}/drain`

async function started(): Promise<Api> {
  const api = await apiOf()
  await api.put(config())
  return api
}

test('trip, close, reset: records with reason and actor, in the document overrides', async () => {
  const api = await started()
  expect((await api.ask('GET', '/v1/overrides')).body).toEqual({ revision: 0, breakers: [], drains: [] })
  const trip = { mode: 'open', backend: 'http://127.0.0.1:9001/', reason: 'disk is failing' }
  const tripped = await api.ask('PUT', breaker, { who: 'operate', body: trip })
  expect(tripped).toMatchObject({
    status: 200,
    body: { document: 'overrides', revision: 1, before: 0, changed: true },
  })
  expect(tripped.headers.get('etag')).toBe(`"1-${tripped.body.id}"`)
  const closed = await api.ask('PUT', breaker, {
    who: 'operate',
    body: { mode: 'closed', reason: 'a test', for: '10m' },
  })
  expect(closed.body).toMatchObject({ revision: 2 })
  const { body } = await api.ask('GET', '/v1/overrides', { who: 'read' })
  expect(body.breakers).toMatchObject([
    { service: 'shop', backend: one, mode: 'open', reason: 'disk is failing', actor: 'operate' },
    { service: 'shop', mode: 'closed', reason: 'a test' },
  ])
  expect(Date.parse(body.breakers[1].until) - Date.parse(body.breakers[1].since)).toBe(600_000)
  const head = await api.store.get(overridesDocument)
  expect(head?.note).toMatchObject({ by: 'operate', message: 'breakers/shop closed: a test' })
  expect(decodeOverrides(head?.value ?? null, 2).breakers).toHaveLength(2)
  const seen = await api.ask('GET', '/v1/services/shop')
  expect(seen.body.backends).toMatchObject([
    { url: one, breaker: { mode: 'open' } },
    { url: two, breaker: { mode: 'closed' } },
  ])
  const reset = await api.ask('DELETE', `${breaker}?backend=${encodeURIComponent(one)}`, { who: 'operate' })
  expect(reset.body).toMatchObject({ revision: 3 })
  expect((await api.ask('DELETE', breaker, { who: 'operate' })).body).toMatchObject({ revision: 4 })
  expect((await api.ask('GET', '/v1/overrides')).body).toMatchObject({ revision: 4, breakers: [] })
  expect((await api.ask('DELETE', breaker)).body).toMatchObject({ revision: 4, changed: false })
  expect(await api.revision()).toBe(1)
})

test('the fleet is told of each committed write, once, and of nothing else', async () => {
  const told: string[] = []
  const api = await apiOf({
    options: { committed: (document, { number }) => void told.push(`${document} ${number}`) },
  })
  await api.put(config())
  await api.put(config())
  await api.ask('PUT', breaker, { body: { mode: 'open', reason: 'x' } })
  await api.ask('DELETE', drain)
  await api.ask('PUT', breaker, { body: { mode: 'ajar', reason: 'x' } })
  await api.ask('PUT', '/v1/config', { body: { nonsense: 1 }, headers: { 'if-match': '*' } })
  expect(told).toEqual(['config 1', 'overrides 1'])
})

test('a drained backend, and one that takes exchanges again', async () => {
  const api = await started()
  const drained = await api.ask('PUT', drain, { who: 'operate', body: { reason: 'new kernel' } })
  expect(drained).toMatchObject({ status: 200, body: { document: 'overrides', revision: 1 } })
  expect((await api.ask('GET', `/v1/services/shop/backends/${encodeURIComponent(one)}`)).body).toMatchObject({
    url: one,
    weight: 1,
    drain: { reason: 'new kernel', actor: 'operate' },
  })
  expect((await api.ask('DELETE', drain, { who: 'operate' })).body).toMatchObject({ revision: 2 })
  expect((await api.ask('GET', '/v1/overrides')).body).toEqual({ revision: 2, breakers: [], drains: [] })
  expect((await api.ask('DELETE', drain)).body).toMatchObject({ revision: 2, changed: false })
})

test('what has ended is not in force, and goes with the next change', async () => {
  const api = await started()
  const until = new Date(Date.now() + 150).toISOString()
  await api.ask('PUT', drain, { body: { reason: 'short', until } })
  await expect
    .poll(async () => (await api.ask('GET', '/v1/overrides')).body.drains, { timeout: 10_000 })
    .toEqual([])
  await api.ask('PUT', breaker, { body: { mode: 'open', reason: 'x' } })
  const head = await api.store.get(overridesDocument)
  expect(decodeOverrides(head?.value ?? null, 2)).toMatchObject({ drains: [], breakers: [{ mode: 'open' }] })
})

test('what cannot be decided says why, with its path, and changes nothing', async () => {
  const api = await started()
  const past = new Date(Date.now() - 1000).toISOString()
  const nobody = `/v1/services/shop/backends/${encodeURIComponent('http://127.0.0.1:1')}/drain`
  const open = { mode: 'open', reason: 'x' }
  for (const [method, path, body, status, code, at] of [
    ['PUT', breaker, { mode: 'ajar', reason: 'x' }, 400, 'MR_BAD_REQUEST', 'mode'],
    ['PUT', breaker, { mode: 'open' }, 400, 'MR_BAD_REQUEST', 'reason'],
    ['PUT', breaker, { ...open, actor: 'ann' }, 400, 'MR_BAD_REQUEST', 'actor'],
    ['PUT', breaker, { ...open, for: 'soon' }, 400, 'MR_BAD_REQUEST', 'for'],
    ['PUT', breaker, { ...open, until: 'tomorrow' }, 400, 'MR_BAD_REQUEST', 'until'],
    ['PUT', breaker, { ...open, for: '1s', until: past }, 400, 'MR_BAD_REQUEST', 'for'],
    ['PUT', breaker, { ...open, until: past }, 400, 'MR_OVERRIDE', 'until'],
    ['PUT', breaker, { ...open, backend: 'nonsense' }, 400, 'MR_BAD_REQUEST', 'backend'],
    ['PUT', breaker, { ...open, backend: 'http://127.0.0.1:1' }, 400, 'MR_OVERRIDE', 'backend'],
    ['PUT', '/v1/services/shpo/breaker', open, 404, 'MR_SERVICE_UNKNOWN', 'path.service'],
    ['DELETE', '/v1/services/shpo/breaker', undefined, 404, 'MR_SERVICE_UNKNOWN', 'path.service'],
    ['PUT', drain, {}, 400, 'MR_BAD_REQUEST', 'reason'],
    ['PUT', nobody, { reason: 'x' }, 400, 'MR_OVERRIDE', 'backend'],
    ['DELETE', nobody, undefined, 400, 'MR_OVERRIDE', 'backend'],
  ] as const) {
    const answer = await api.ask(method, path, { body })
    expect({ asked: [path, body], ...answer }).toMatchObject({ status, body: { code, path: at } })
  }
  expect(await api.revision(overridesDocument)).toBe(0)
})

test('If-Match is the revision of the overrides', async () => {
  const api = await started()
  await api.ask('PUT', breaker, { body: { mode: 'open', reason: 'x' } })
  const stale = await api.ask('DELETE', breaker, { headers: { 'if-match': '"7"' } })
  expect(stale).toMatchObject({ status: 412, body: { between: [{ revision: 1, by: 'admin' }] } })
  expect((await api.ask('DELETE', breaker, { headers: { 'if-match': '"1"' } })).body).toMatchObject({
    revision: 2,
  })
})

test('many who decide at the same time are all heard', async () => {
  const api = await started()
  const backends = Array.from({ length: 15 }, (_, n) => `http://127.0.0.1:${9300 + n}`)
  await api.put(config(backends))
  const answers = await Promise.all(
    backends.map((backend) => api.ask('PUT', breaker, { body: { mode: 'open', backend, reason: 'x' } })),
  )
  expect(answers.map(({ status }) => status)).toEqual(backends.map(() => 200))
  expect((await api.ask('GET', '/v1/overrides')).body.breakers).toHaveLength(15)
})
