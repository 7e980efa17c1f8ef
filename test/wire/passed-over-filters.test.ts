/** A filter that may fail (`failOpen`) and has missed its deadline still runs, while the messages go their way without it. */
import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Lb, simpleConfig, startLb } from '../harness/lb.ts'
import { type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const ok: Parameters<RawBackend['respond']>[0] = (_, connection) => connection.write(response({ body: 'ok' }))

let backend: RawBackend
let lb: Lb

const cleanup = untilFileEnds()
beforeAll(async () => {
  backend = await rawBackend(ok, { cleanup })
  const filters = [{ use: 'late', deadline: '100ms', failOpen: true }]
  lb = await startLb(simpleConfig([backend], { service: { filters }, plugins: ['./plugins/late.ts'] }), {
    directory,
    cleanup,
  })
})

beforeEach(async () => {
  await backend.clear()
  lb.log.length = 0
})

describe('a filter that was passed over', () => {
  const wake = async (): Promise<void> => {
    const client = await rawClient(lb.port)
    await client.request(request({ fields: ['X-Do: wake'] }))
  }
  const refused = (what: string) => () =>
    lb.log.some(({ message }) => message.includes(`${what} works in`) && !message.includes('did it'))

  test.each([
    ['sleep-read', 'readBody'],
    ['sleep-transform', 'request.transformBody'],
  ])('does not get at a body that is on its way: %s', async (what, name) => {
    const client = await rawClient(lb.port)
    const fields = ['Transfer-Encoding: chunked', `X-Do: ${what}`]
    client.write(`${request({ method: 'PUT', fields })}5\r\nfirst\r\n`)
    const connection = await until('the body is on its way', () => {
      const [one] = backend.connections
      return one?.received.includes('first') ? one : undefined
    })
    await wake()
    await until('it has tried', refused(name))
    client.write('6\r\nsecond\r\n0\r\n\r\n')
    expect((await until('it is answered', () => client.reader.messages[0])).status).toBe(200)
    expect(connection.requests[0].body.toString()).toBe('firstsecond')
  })

  test('does not get at the body of an answer that is on its way', async () => {
    backend.respond((_, connection) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst'))
    const client = await rawClient(lb.port)
    client.write(request({ fields: ['X-Answer: sleep-pass'] }))
    await until('the body is on its way', () => client.received.includes('first'))
    const [connection] = backend.connections
    backend.respond(ok)
    await wake()
    await until('it has tried', refused('response.transformBody'))
    connection.write('second')
    const answer = await until('the answer is whole', () => client.reader.messages[0])
    expect(answer.body.toString()).toBe('firstsecond')
  })
})
