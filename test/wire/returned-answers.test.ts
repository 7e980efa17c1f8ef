/** Filters whose author returns an answer in place of calling `respond`: what was to be refused must not be let through. */
import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Lb, neverOpens, startLb } from '../harness/lb.ts'
import type { RawResponse } from '../harness/message-reader.ts'
import { type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const cleanup = untilFileEnds()

const secret: Parameters<RawBackend['respond']>[0] = (_, connection) =>
  connection.write(response({ body: 'secret' }))

let backend: RawBackend
let lb: Lb

beforeAll(async () => {
  backend = await rawBackend(secret, { cleanup })
  const service = { backends: [backend.url], breaker: neverOpens }
  lb = await startLb(
    {
      node: { threads: 1 },
      plugins: ['./plugins/returning.ts'],
      listeners: { web: { address: '127.0.0.1:0' } },
      routes: [{ match: { path: '/open' }, service: 'open' }, { service: 'app' }],
      services: {
        app: { ...service, filters: ['returning'] },
        open: { ...service, filters: [{ use: 'returning', failOpen: true }] },
      },
    },
    { directory, cleanup },
  )
})

beforeEach(async () => {
  await backend.clear()
  backend.respond(secret)
  lb.log.length = 0
})

async function ask(target: string, what: string): Promise<RawResponse> {
  const client = await rawClient(lb.port)
  return client.request(request({ target, fields: [`X-Return: ${what}`] }))
}

const lines = (): string[] =>
  lb.log.flatMap(({ message }) => (message.startsWith('filter ') ? [message] : []))
const instead = 'which is not used; to answer, call exchange.respond({ status, headers, body }) in onRequest'

test.each([
  ['onRequest answer', 'an object with the status 401'],
  ['onRequest response', 'an object with the status 403'],
  ['onRequest later', 'an object with the status 401'],
  ['onRequest flag', 'a boolean'],
  ['onRequest null', 'null'],
  ['onAttempt answer', 'an object with the status 401'],
  ['onResponse answer', 'an object with the status 401'],
  ['onResponse later', 'an object with the status 401'],
])('%s: 500, and the line says what to call', async (what, words) => {
  const [hook] = what.split(' ')
  const final = await ask('/', what)
  expect(final.status).toBe(500)
  expect(final.body.toString()).toMatch(/^MR_PLUGIN_FAULT: /)
  if (hook !== 'onResponse') expect(backend.requests).toEqual([])
  await until('the fault was logged', () => lines().length > 0)
  expect(lines()).toEqual([`filter returning failed in ${hook}: it returned ${words}, ${instead}`])
})

test.each([
  'onRequest answer',
  'onRequest later',
  'onAttempt answer',
  'onResponse answer',
])('%s, of a filter marked failOpen: it is skipped, and that is said', async (what) => {
  const [hook] = what.split(' ')
  const final = await ask('/open', what)
  expect([final.status, final.body.toString()]).toEqual([200, 'secret'])
  await until('the fault was logged', () => lines().length > 0)
  expect(lines()[0]).toMatch(`filter returning failed in ${hook} and was skipped: it returned an object`)
})

test.each([
  'onRequest nothing',
  'onResponse nothing',
  'onDone flag',
])('%s: nothing is wrong', async (what) => {
  expect((await ask('/', what)).status).toBe(200)
  // A fault that comes later says that what was logged before it has come.
  await ask('/', 'onRequest flag')
  await until('the later fault was logged', () => lines().length > 0)
  expect(lines()).toEqual([`filter returning failed in onRequest: it returned a boolean, ${instead}`])
})
