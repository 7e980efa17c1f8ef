import { expect, test } from 'vitest'
import { fixture } from '../harness/fixture.ts'
import { response } from '../harness/raw-backend.ts'
import { chunked, request } from '../harness/raw-client.ts'

const proxy = fixture()

test('a body that came in thousands of tiny chunks is sent again whole', async () => {
  proxy.backend.respond((_, connection) => {
    if (proxy.backend.requests.length === 1) connection.end()
    else connection.write(response({ body: 'ok' }))
  })
  const pieces = Array.from({ length: 5000 }, (_, i) => String(i % 10))
  const client = await proxy.connect()
  const head = request({ method: 'PUT', fields: ['Transfer-Encoding: chunked'] })
  expect((await client.request(head + chunked(pieces))).status).toBe(200)
  expect(proxy.backend.requests.map(({ body }) => body.toString())).toEqual([
    pieces.join(''),
    pieces.join(''),
  ])
})
