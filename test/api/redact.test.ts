/** What roles below admin see of a config. */
import { expect, test } from 'vitest'
import { redacted } from '../../core/api/redact.ts'
import type { PluginCatalog } from '../../core/config/catalog.ts'

/** Every plugin is called `mine`, and marks one option. */
const catalog: PluginCatalog = {
  names: () => ['mine'],
  validateOptions: () => [],
  jsonSchema: () => ({ type: 'object', properties: { salt: { type: 'string', writeOnly: true } } }),
}

const use = { use: 'mine', salt: 'hunter2', open: 'shown' }
const hidden = { use: 'mine', salt: '(hidden)', open: 'shown' }
const key = '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n'

test('options that their plugin marks, private keys, and what is called a secret are hidden wherever they stand', () => {
  const config = {
    filters: [use, 'mine'],
    routes: [{ service: 'a', filters: [use] }],
    services: {
      a: {
        ...{ backends: ['http://a'], algorithm: use, health: use, breaker: use, filters: [use] },
        tls: { key, cert: 'shown', verify: true },
      },
    },
  }
  const a = { backends: ['http://a'], algorithm: hidden, health: hidden, breaker: hidden, filters: [hidden] }
  expect(redacted(config, catalog)).toEqual({
    filters: [hidden, 'mine'],
    routes: [{ service: 'a', filters: [hidden] }],
    services: { a: { ...a, tls: { key: '(hidden)', cert: 'shown', verify: true } } },
  })
  expect(
    JSON.stringify(redacted({ filters: [{ use: 'other', password: 'hunter2' }] }, catalog)),
  ).not.toContain('hunter2')
})

test('what is not there is not made up', () => {
  expect(redacted({}, catalog)).toEqual({})
  expect(redacted({ services: { a: { backends: [] } } }, catalog)).toEqual({
    services: { a: { backends: [] } },
  })
})
