import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { rawBackend } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const serve = reusedLb({ directory })
const plugins = ['./plugins/broken-algorithm.ts', './plugins/broken-breaker.ts']

test.each([
  ['update', { algorithm: 'broken-algorithm' }],
  ['pick', { algorithm: 'broken-algorithm' }],
  ['settled', { algorithm: 'broken-algorithm' }],
  ['for', { breaker: { use: 'broken-breaker', hook: 'for' } }],
  ['tryAcquire', { breaker: { use: 'broken-breaker', hook: 'tryAcquire' } }],
  ['settle', { breaker: { use: 'broken-breaker', hook: 'settle' } }],
])('requests are served past a plugin that throws in %s, and it is said', async (hook, service) => {
  const backend = await rawBackend()
  const lb = await serve(simpleConfig([backend], { plugins, service }))
  const client = await rawClient(lb.port)
  // One connection, kept: the data thread lives on.
  for (let i = 0; i < 3; i++) expect((await client.request(request())).status).toBe(200)
  if (hook === 'for' || hook === 'update') return
  await until('the fault was logged', () =>
    lb.log.some(({ message }) => message.endsWith(`failed in ${hook}`)),
  )
})
