import { beforeAll, expect, test } from 'vitest'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { chunked, rawClient, request } from '../../harness/raw-client.ts'
import { until } from '../../harness/until.ts'
import { freshBackend, type Served, serve } from './serve.ts'

let served: Served
const cleanup = untilFileEnds()
beforeAll(async () => {
  served = await serve(
    cleanup,
    { body: [{ use: 'body-limit', limit: '10B' }] },
    {
      admin: { address: '127.0.0.1:0' },
    },
  )
})
freshBackend(() => served)

const inChunks = { method: 'POST', fields: ['Transfer-Encoding: chunked'] }

test('a body of the limit passes', async () => {
  expect((await served.ask('body', { method: 'POST', body: '0123456789' })).status).toBe(200)
  expect((await served.ask('body', { ...inChunks, body: chunked(['01234', '56789']) })).status).toBe(200)
  expect((await served.ask('body')).status).toBe(200)
  expect(served.backend.requests.map(({ body }) => body.toString())).toEqual(['0123456789', '0123456789', ''])
})

test('a longer one that says so is a 413 before it is sent, and no 100 is given', async () => {
  const client = await rawClient(served.lb.port)
  const fields = ['Content-Length: 11', 'Expect: 100-continue']
  const answer = await client.request(request({ method: 'PUT', target: '/body', fields }))
  expect(answer.status).toBe(413)
  expect(client.text).not.toContain('100 Continue')
  expect(served.backend.connections).toEqual([])
})

test('one in chunks is a 413 when it has passed the limit, and the backend never sees its end', async () => {
  const client = await rawClient(served.lb.port)
  client.write(request({ ...inChunks, target: '/body' }))
  client.write('5\r\n01234\r\n')
  await until('the backend has the first piece', () =>
    served.backend.connections[0]?.received.toString().includes('01234'),
  )
  client.write('6\r\n567890\r\n0\r\n\r\n')
  expect((await client.response()).status).toBe(413)
  await until('the backend connection is closed', () => served.backend.open.length === 0)
  expect(served.backend.requests).toEqual([])
  expect(served.backend.connections[0].received.toString()).not.toContain('567890')
  // It is the client's doing, no fault of the plugin.
  expect(served.lb.log.filter(({ level }) => level === 'error')).toEqual([])
  expect(await served.lb.metric('millrace_plugins_faulted_total')).toBe(0)
})
