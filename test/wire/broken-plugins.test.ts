import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { reusedLb, simpleConfig, startLb } from '../harness/lb.ts'
import { rawBackend } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const serve = reusedLb({ directory })
const plugins = ['./plugins/broken-algorithm.ts', './plugins/broken-breaker.ts']

test.each([
  ['update', { algorithm: { use: 'broken-algorithm', hook: 'second' } }],
  ['pick', { algorithm: { use: 'broken-algorithm', hook: 'pick' } }],
  ['settled', { algorithm: { use: 'broken-algorithm', hook: 'settled' } }],
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

test('a pick that throws is one fault, told once and counted once', async () => {
  const backend = await rawBackend()
  const algorithm = { use: 'broken-algorithm', hook: 'pick' }
  const admin = { address: '127.0.0.1:0' }
  const lb = await startLb(simpleConfig([backend], { plugins, admin, service: { algorithm } }), { directory })
  const client = await rawClient(lb.port)
  for (let i = 0; i < 3; i++) expect((await client.request(request())).status).toBe(200)
  const told = (): string[] =>
    lb.log.map(({ message }) => message).filter((text) => /broken-algorithm/.test(text))
  await until('all three are told', () => told().length >= 3)
  expect(told()).toEqual(Array(3).fill('broken-algorithm failed in pick'))
  expect(await lb.metric('millrace_plugins_faulted_total')).toBe(3)
})

test('a pick of nothing, where a backend is left, is told as such', async () => {
  const backend = await rawBackend()
  const lb = await startLb(
    simpleConfig([backend], {
      plugins: ['./plugins/picks-nothing.ts'],
      service: { algorithm: 'picks-nothing' },
    }),
    { directory },
  )
  const client = await rawClient(lb.port)
  expect((await client.request(request())).status).toBe(200)
  const line = await until('it is told', () => lb.log.find(({ message }) => /picks-nothing/.test(message)))
  expect(line.message).toBe('algorithm picks-nothing picked nothing although a backend was left')
})

test('in the place of an algorithm at fault the backends take turns', async () => {
  const backends = await Promise.all([1, 2, 3].map(() => rawBackend()))
  const algorithm = { use: 'broken-algorithm', hook: 'pick' }
  const lb = await startLb(simpleConfig(backends, { plugins, service: { algorithm } }), { directory })
  const client = await rawClient(lb.port)
  for (let i = 0; i < 12; i++) expect((await client.request(request())).status).toBe(200)
  expect(backends.map((backend) => backend.requests.length)).toEqual([4, 4, 4])
})

test('an algorithm whose update throws does not begin: told with its place', async () => {
  const backend = await rawBackend()
  const algorithm = { use: 'broken-algorithm', hook: 'update' }
  const starting = startLb(simpleConfig([backend], { plugins, service: { algorithm } }), { directory })
  await expect(starting).rejects.toMatchObject({
    code: 'MR_PLUGIN_FAULT',
    message: expect.stringMatching(/update.*broken-algorithm\.ts:\d+/),
  })
})
