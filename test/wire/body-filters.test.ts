/** Filters that read the body and filters that transform it, one behind the other. */
import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Lb, neverOpens, startLb } from '../harness/lb.ts'
import { fieldValues } from '../harness/message-reader.ts'
import { type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { chunked, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const read = (limit: number, more: object = {}) => ({ use: 'reading', limit, ...more })
const failOpen = { failOpen: true }

/** By the path that leads to them. `rot13` adds a `!` at the end. */
const chains: Record<string, readonly unknown[]> = {
  'read-turn': [read(5_000_000), 'rot13'],
  'turn-read-turn': ['rot13', read(100), 'rot13'],
  'read-turn-read': [read(100), 'rot13', read(100)],
  'read-turn-twice': [read(100), 'rot13', 'rot13'],
  'small-large': [read(3, failOpen), read(100)],
  'large-small': [read(100), read(3)],
  'small-open': [read(3, failOpen)],
  'small-turn': [read(3, failOpen), 'rot13'],
  'turn-mirror': ['rot13', { use: 'mirror', to: 'shadow' }],
  'read-send': [read(100), { use: 'canary', to: 'half', share: '100%' }],
}

let backend: RawBackend
let shadow: RawBackend
let lb: Lb

const cleanup = untilFileEnds()
beforeAll(async () => {
  backend = await rawBackend(undefined, { cleanup })
  shadow = await rawBackend(undefined, { cleanup })
  const service = (filters: readonly unknown[]) => ({ backends: [backend.url], breaker: neverOpens, filters })
  const entries = Object.entries(chains).map(([name, filters]) => [name, service(filters)])
  lb = await startLb(
    {
      node: { threads: 1 },
      plugins: ['./plugins/reading.ts', './plugins/rot13.ts'],
      listeners: { web: { address: '127.0.0.1:0' } },
      routes: Object.keys(chains).map((name) => ({ match: { path: `/${name}` }, service: name })),
      services: {
        ...Object.fromEntries(entries),
        shadow: { backends: [shadow.url], breaker: neverOpens },
        // Nobody listens on port 1.
        half: {
          backends: ['http://127.0.0.1:1', backend.url],
          breaker: neverOpens,
          retries: { attempts: 0 },
        },
      },
    },
    { directory, cleanup },
  )
})

beforeEach(async () => {
  await backend.clear()
  backend.respond((_, connection) => connection.write(response({ status: 204 })))
})

/** Status of the answer, and what the backend saw. */
async function send(chain: string, parts: Parameters<typeof request>[0]) {
  const client = await rawClient(lb.port)
  const { status } = await client.request(request({ method: 'POST', target: `/${chain}`, ...parts }))
  const seen = backend.requests.map((one) => ({
    body: one.body.toString('latin1'),
    read: fieldValues(one, 'x-read'),
  }))
  return { status, seen }
}

const inPieces = { fields: ['Transfer-Encoding: chunked'], body: chunked([...'hello']) }

describe.each([
  ['with its length', { body: 'hello' }],
  ['in pieces', inPieces],
])('a body %s', (_, parts) => {
  test('that a filter has read passes the transform of a later one', async () => {
    const seen = [{ body: 'uryyb!', read: ['5 hello'] }]
    expect(await send('read-turn', parts)).toEqual({ status: 204, seen })
  })

  test('is read as the transforms before left it, and passes those behind, each once', async () => {
    const seen = [{ body: 'hello!!', read: ['6 uryyb!'] }]
    expect(await send('turn-read-turn', parts)).toEqual({ status: 204, seen })
  })

  test('that is read again shows what stands between', async () => {
    const seen = [{ body: 'uryyb!', read: ['5 hello', '6 uryyb!'] }]
    expect(await send('read-turn-read', parts)).toEqual({ status: 204, seen })
  })

  test('passes all transforms behind its reader', async () => {
    const seen = [{ body: 'hello!!', read: ['5 hello'] }]
    expect(await send('read-turn-twice', parts)).toEqual({ status: 204, seen })
  })

  test('longer than one filter takes is still read by one that takes more', async () => {
    const seen = [{ body: 'hello', read: ['5 hello'] }]
    expect(await send('small-large', parts)).toEqual({ status: 204, seen })
  })

  test('longer than the second filter takes is a 413', async () => {
    expect(await send('large-small', parts)).toEqual({ status: 413, seen: [] })
  })

  test('longer than a filter takes that may fail is forwarded whole', async () => {
    const seen = [{ body: 'hello', read: [] }]
    expect(await send('small-open', parts)).toEqual({ status: 204, seen })
  })

  test('longer than a filter takes that may fail passes the transforms behind it whole', async () => {
    const seen = [{ body: 'uryyb!', read: [] }]
    expect(await send('small-turn', parts)).toEqual({ status: 204, seen })
  })
})

test('a body with its length is mirrored behind a transform, as the client sent it', async () => {
  await shadow.clear()
  expect((await send('turn-mirror', { body: 'hello' })).status).toBe(204)
  const copy = await until('the copy arrived', () => shadow.requests[0])
  expect([copy.body.toString(), copy.framing, fieldValues(copy, 'content-length')]).toEqual([
    'hello',
    'chunked',
    [],
  ])
})

test('a POST that was read and sent to another service is tried again while nothing of it was sent', async () => {
  for (let round = 0; round < 4; round++) {
    expect((await send('read-send', { body: `order ${round}` })).status).toBe(204)
  }
  expect(backend.requests.map(({ body }) => body.toString())).toEqual([
    'order 0',
    'order 1',
    'order 2',
    'order 3',
  ])
})

test('megabytes that a filter has read are transformed whole', async () => {
  const body = 'abcdefghijklm'.repeat(300_000)
  const { status, seen } = await send('read-turn', { body })
  expect(status).toBe(204)
  expect(seen[0].body === `${'nopqrstuvwxyz'.repeat(300_000)}!`).toBe(true)
  expect(seen[0].read).toEqual(['3900000 abcdefghijklmabcdefg'])
})

test('a body without a byte is ended by the transform behind its reader', async () => {
  const parts = { fields: ['Transfer-Encoding: chunked'], body: chunked([]) }
  expect(await send('read-turn', parts)).toEqual({ status: 204, seen: [{ body: '!', read: ['0'] }] })
})

test('what a filter has read and another has turned is sent again as it was when a kept connection closes', async () => {
  backend.respond((_, connection) => {
    if (connection.index === 0 && connection.requests.length > 1) connection.end()
    else connection.write(response({ status: 204 }))
  })
  const client = await rawClient(lb.port)
  const put = (body: string) => client.request(request({ method: 'PUT', target: '/read-turn', body }))
  await put('first')
  expect((await put('hello')).status).toBe(204)
  const turned = backend.requests.map(({ body }) => body.toString())
  expect(turned).toEqual(['svefg!', 'uryyb!', 'uryyb!'])
  expect(backend.connections).toHaveLength(2)
})
