/** Memory of what a client sends is given back when the backend's connection has it: not while anybody else may still read it. */
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { untilFileEnds } from '../harness/cleanup.ts'
import { type Lb, neverOpens, startLb } from '../harness/lb.ts'
import { type BackendConnection, type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

/** More than the sockets between two peers hold. What is read of it goes into a field, so it begins with letters. */
const body = Buffer.concat([Buffer.from('a'.repeat(20)), randomBytes(8 << 20)])

let backend: RawBackend
let shadow: RawBackend
let lb: Lb

const cleanup = untilFileEnds()
beforeAll(async () => {
  backend = await rawBackend(undefined, { cleanup })
  shadow = await rawBackend(undefined, { cleanup })
  const service = (more: object) => ({
    backends: [backend.url],
    breaker: neverOpens,
    retries: { attempts: 2, bodyBuffer: '16MiB' },
    ...more,
  })
  const services = {
    plain: service({ upgrades: ['chat'] }),
    mirrored: service({ filters: [{ use: 'mirror', to: 'shadow' }] }),
    held: service({ filters: ['holding'] }),
    read: service({ filters: [{ use: 'reading', limit: body.length }] }),
    shadow: service({ backends: [shadow.url] }),
  }
  lb = await startLb(
    {
      node: { threads: 1 },
      plugins: ['./plugins/holding.ts', './plugins/reading.ts'],
      listeners: { web: { address: '127.0.0.1:0' } },
      routes: Object.keys(services).map((name) => ({ match: { path: `/${name}` }, service: name })),
      services,
    },
    { directory: fileURLToPath(new URL('.', import.meta.url)), cleanup },
  )
})

beforeEach(async () => {
  await Promise.all([backend.clear(), shadow.clear()])
  const ok = { onRequest: (_: unknown, connection: BackendConnection) => connection.write(response({})) }
  backend.script = ok
  shadow.script = ok
})

/** Reads nothing for the first tenth of a second: what is sent meanwhile waits in the proxy. */
const slowAtFirst = (_: unknown, { socket }: BackendConnection): void => {
  socket.pause()
  setTimeout(() => socket.resume(), 100)
}

/** @param method POST: it is sent once; PUT: it is kept for another try */
async function upload(service: string, method: string): Promise<number> {
  const client = await rawClient(lb.port)
  const fields = [`Content-Length: ${body.length}`]
  client.write(request({ method, target: `/${service}`, fields }))
  client.socket.write(body)
  return (await until('it is answered', () => client.reader.messages[0])).status
}

const seenBy = ({ requests }: RawBackend): boolean[] => requests.map((one) => one.body.equals(body))

test.each(['plain', 'held', 'read'])('slow backend, %s: it gets every byte', async (service) => {
  backend.script = { ...backend.script, onHead: slowAtFirst }
  expect(await upload(service, 'POST')).toBe(200)
  expect(seenBy(backend)).toEqual([true])
})

test('a copy goes to a slow backend while the other one has long had it', async () => {
  shadow.script = { ...shadow.script, onHead: slowAtFirst }
  expect(await upload('mirrored', 'POST')).toBe(200)
  expect(seenBy(backend)).toEqual([true])
  await until('the copy has arrived', () => shadow.requests.length === 1)
  expect(seenBy(shadow)).toEqual([true])
})

test('what the first backend took is sent again', async () => {
  const { script } = backend
  backend.script = {
    onRequest(message, connection) {
      if (backend.requests.length === 1) connection.abort()
      else script.onRequest?.(message, connection)
    },
  }
  expect(await upload('plain', 'PUT')).toBe(200)
  expect(seenBy(backend)).toEqual([true, true])
})

test('through a tunnel whose end is slow', async () => {
  backend.script = {
    onHead(message, connection) {
      connection.reader.takeRaw()
      connection.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
      slowAtFirst(message, connection)
    },
  }
  const client = await rawClient(lb.port)
  client.write(request({ target: '/plain', fields: ['Connection: Upgrade', 'Upgrade: chat'] }))
  await until('the client saw the 101', () => client.reader.messages.length === 1)
  client.socket.write(body)
  const [connection] = backend.connections
  await until('all has arrived', () => connection.reader.raw.length === body.length)
  expect(connection.reader.raw.equals(body)).toBe(true)
})

test('not while the next request stands behind a body in the same bytes', async () => {
  const client = await rawClient(lb.port)
  const first = request({ method: 'POST', target: '/plain', fields: ['Content-Length: 0'] })
  expect((await client.request(first)).status).toBe(200)
  const large = 'b'.repeat(40_000)
  const post = request({ method: 'POST', target: '/plain', body: large })
  client.write(post + request({ target: '/plain?next' }))
  await until('both are answered', () => client.reader.messages.length === 3)
  expect(backend.requests.slice(1).map(({ target, body }) => [target, body.length])).toEqual([
    ['/plain', large.length],
    ['/plain?next', 0],
  ])
})
