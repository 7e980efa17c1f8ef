import { describe, expect, test } from 'vitest'
import { type Lb, simpleConfig, startLb } from '../harness/lb.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { type BackendConnection, rawBackend, response } from '../harness/raw-backend.ts'
import { type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

interface Load {
  sent: number
  answered: number
  closes: number
  failures: string[]
}

/** Asks again and again, on a new connection after each `Connection: close`, until told to stop. */
async function keepAsking(lb: Lb, load: Load, going: () => boolean): Promise<void> {
  let client: RawClient | undefined
  while (going()) {
    try {
      client ??= await rawClient(lb.port)
      load.sent++
      const answer = await client.request(request({ target: `/${load.sent}` }))
      if (answer.status !== 200) load.failures.push(`status ${answer.status}`)
      load.answered++
      if (/close/i.test(fieldValue(answer, 'connection') ?? '')) {
        load.closes++
        client.end()
        client = undefined
      }
    } catch (error) {
      load.failures.push((error as Error).message)
      client = undefined
    }
  }
}

describe('draining under load', () => {
  test.each([1, 2])('loses no request that was sent during the delay (%i threads)', async (threads) => {
    const backend = await rawBackend((_, connection) => connection.write(response({ body: 'ok' })))
    const drain = { delay: '1200ms', timeout: '5s' }
    const lb = await startLb(simpleConfig([backend], { node: { threads }, drain }))
    const load: Load = { sent: 0, answered: 0, closes: 0, failures: [] }
    let going = true
    const askers = Array.from({ length: 16 }, () => keepAsking(lb, load, () => going))
    await until('the load runs', () => load.answered > 200)
    const drained = lb.server.drain()
    const from = performance.now()
    const before = load.closes
    await until('answers say close', () => load.closes > before + 16)
    // A balancer in front has taken notice by then and sends nothing new.
    await until('most of the delay is over', () => performance.now() - from > 900)
    going = false
    await Promise.all(askers)
    expect(load.failures).toEqual([])
    expect(load.answered).toBe(load.sent)
    expect(await drained).toBe(true)
    await expect(rawClient(lb.port)).rejects.toThrow()
  })

  test('lets what is in flight come to its end after the listeners have closed', async () => {
    const held: BackendConnection[] = []
    const backend = await rawBackend((_, connection) => held.push(connection))
    const lb = await startLb(simpleConfig([backend], { drain: { delay: '0s', timeout: '10s' } }))
    const client = await rawClient(lb.port)
    client.write(request())
    const idle = await rawClient(lb.port)
    await until('the request is at the backend', () => held.length === 1)
    const drained = lb.server.drain()
    expect(await idle.ended()).not.toBe('open')
    await until('new connections are refused', () =>
      lb.log.some(({ message }) => /listeners close/.test(message)),
    )
    held[0].write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow')
    await until('a part has arrived', () => client.text.includes('slow'))
    held[0].write('poke')
    const answer = await client.response()
    expect(answer.body.toString()).toBe('slowpoke')
    expect(fieldValue(answer, 'connection')).toMatch(/close/i)
    expect(await drained).toBe(true)
  })

  test('cuts off what is not over in time', async () => {
    const backend = await rawBackend(() => {})
    const lb = await startLb(simpleConfig([backend], { drain: { delay: '0s', timeout: '300ms' } }))
    const client = await rawClient(lb.port)
    client.write(request())
    await until('the request is at the backend', () => backend.requests.length === 1)
    expect(await lb.server.drain()).toBe(false)
    expect(await client.ended()).not.toBe('open')
    await until('the backend connection is closed', () => backend.open.length === 0)
  })
})

test('a reload under load loses no request and keeps upstream connections', async () => {
  const backend = await rawBackend()
  const config = (weight: number) =>
    simpleConfig([], { service: { backends: [{ url: backend.url, weight }] } })
  const lb = await startLb(config(1))
  const load: Load = { sent: 0, answered: 0, closes: 0, failures: [] }
  let going = true
  const askers = Array.from({ length: 8 }, () => keepAsking(lb, load, () => going))
  await until('the load runs', () => load.answered > 100)
  for (let weight = 2; weight < 12; weight++) {
    const seen = load.answered
    await lb.apply(config(weight))
    await until('more is answered', () => load.answered > seen + 20)
  }
  going = false
  await Promise.all(askers)
  expect(load.failures).toEqual([])
  expect(backend.connections.length).toBeLessThanOrEqual(8)
})

test('an exchange in flight ends on the config it began with, though its service is gone', async () => {
  const held: BackendConnection[] = []
  const old = await rawBackend((_, connection) => held.push(connection))
  const next = await rawBackend()
  const lb = await startLb(simpleConfig([old]))
  const client = await rawClient(lb.port)
  client.write(request({ target: '/old' }))
  await until('the request is at the backend', () => held.length === 1)
  const config = simpleConfig([])
  await lb.apply({ ...config, routes: [{ service: 'other' }], services: { other: { backends: [next.url] } } })
  held[0].write(response({ body: 'from the old one' }))
  expect((await client.response()).body.toString()).toBe('from the old one')
  expect((await client.request(request({ target: '/new' }))).body.toString()).toBe('ok')
  await until('the old connection is closed', () => old.open.length === 0)
})

test('a listener that a reload takes away accepts no more, and loses nothing', async () => {
  const held: BackendConnection[] = []
  const backend = await rawBackend((_, connection) => held.push(connection))
  const config = simpleConfig([backend])
  const address = '127.0.0.1:0'
  const lb = await startLb({ ...config, listeners: { web: { address }, extra: { address } } })
  const port = lb.portOf('extra')
  const busy = await rawClient(port)
  busy.write(request())
  const idle = await rawClient(port)
  await until('the request is at the backend', () => held.length === 1)
  await lb.apply({ ...config, listeners: { web: { address } } })
  expect(await idle.ended()).not.toBe('open')
  await expect(rawClient(port)).rejects.toThrow()
  held[0].write(response({ body: 'ok' }))
  expect((await busy.response()).body.toString()).toBe('ok')
  expect(await busy.ended()).toBe('fin')
})
