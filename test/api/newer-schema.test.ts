/** Documents that a newer version has written: this one's API replaces none. */
import { expect, test } from 'vitest'
import { type Api, type Ask, apiOf, config } from './harness.ts'

const newer = { by: 'a newer version', schema: 2 }

async function started(): Promise<Api> {
  const api = await apiOf()
  await api.put(config())
  return api
}

async function expectRefused(api: Api, method: string, path: string, ask: Ask): Promise<void> {
  const { status, body } = await api.ask(method, path, ask)
  expect({ path, status, code: body.code }).toEqual({ path, status: 500, code: 'MR_STORE_DATA' })
  expect(body.message).toMatch(/written in schema 2, and this version reads up to 1/)
}

test.each([
  ['a value', Buffer.from('{"future":1}')],
  ['a tombstone', null],
])('config, %s: neither written over, nor rolled back, nor edited', async (_what, value) => {
  const api = await started()
  const head = await api.store.get('config')
  await api.store.put('config', value, head?.revision ?? null, 'newer-0123456789', newer)
  const headers = { 'if-match': '"2"' }
  await expectRefused(api, 'PUT', '/v1/config', { body: config([]), headers })
  await expectRefused(api, 'POST', '/v1/config/rollback', { body: { revision: 1 } })
  await expectRefused(api, 'POST', '/v1/services/shop/backends', { body: { url: 'http://127.0.0.1:9009' } })
  expect(await api.revision()).toBe(2)
})

test('overrides: nothing is decided on top of them', async () => {
  const api = await started()
  await api.store.put('overrides', Buffer.from('{"schema":2}'), null, 'newer-0123456789', newer)
  const breaker = '/v1/services/shop/breaker'
  await expectRefused(api, 'PUT', breaker, { body: { mode: 'open', reason: 'x' } })
  await expectRefused(api, 'DELETE', breaker, {})
  expect(await api.revision('overrides')).toBe(1)
})
