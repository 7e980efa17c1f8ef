/** Filters at the top level, on routes (of listeners too) and on services run in the order of the config. */
import { beforeAll, expect, test } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { type Lb, neverOpens, startLb } from '../../harness/lb.ts'
import { fieldValues } from '../../harness/message-reader.ts'
import { type RawBackend, rawBackend, response } from '../../harness/raw-backend.ts'
import { rawClient, request } from '../../harness/raw-client.ts'

const note = (value: string) => ({
  use: 'headers',
  request: { append: { 'X-Way': value } },
  response: { append: { 'X-Way': value } },
})

let backend: RawBackend
let lb: Lb
const cleanup = untilFileEnds()
beforeAll(async () => {
  backend = await rawBackend((_, connection) => connection.write(response({ body: 'ok' })), {
    cleanup,
  })
  lb = await startLb(
    {
      node: { threads: 1 },
      listeners: {
        web: { address: '127.0.0.1:0' },
        own: {
          address: '127.0.0.1:0',
          routes: [{ service: 'shop', filters: [note('listener-route')] }],
        },
      },
      filters: [note('top-1'), note('top-2')],
      routes: [
        { match: { path: '/a' }, service: 'shop', filters: [note('route-1'), note('route-2')] },
        { match: { path: '/b' }, service: 'plain' },
      ],
      services: {
        shop: {
          backends: [backend.url],
          breaker: neverOpens,
          filters: [note('service-1'), note('service-2')],
        },
        plain: { backends: [backend.url], breaker: neverOpens },
      },
    },
    { cleanup },
  )
})

test.each([
  ['web', '/a', ['top-1', 'top-2', 'route-1', 'route-2', 'service-1', 'service-2']],
  ['web', '/b', ['top-1', 'top-2']],
  ['own', '/a', ['top-1', 'top-2', 'listener-route', 'service-1', 'service-2']],
])('listener %s, path %s', async (listener, target, way) => {
  await backend.clear()
  const client = await rawClient(lb.portOf(listener))
  const answer = await client.request(request({ target }))
  expect(fieldValues(backend.requests[0], 'x-way')).toEqual(way)
  expect(fieldValues(answer, 'x-way')).toEqual([...way].reverse())
})
