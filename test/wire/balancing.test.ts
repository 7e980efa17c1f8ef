/** The balancing settings of a service, seen by real backends; their rules are tested in test/proxy. */
import { describe, expect, test } from 'vitest'
import { reusedLb, simpleConfig, startLb } from '../harness/lb.ts'
import type { RawResponse } from '../harness/message-reader.ts'
import { type BackendConnection, type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const serve = reusedLb()

function named(count: number): Promise<RawBackend[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      rawBackend((_request, connection) => connection.write(response({ body: `${index}` }))),
    ),
  )
}

async function bodies(port: number, count: number): Promise<number[]> {
  const client = await rawClient(port)
  const counts: number[] = []
  for (let i = 0; i < count; i++) {
    const answer: RawResponse = await client.request(request())
    expect(answer.status).toBe(200)
    const index = Number(answer.body.toString())
    counts[index] = (counts[index] ?? 0) + 1
  }
  return Array.from(counts, (value) => value ?? 0)
}

describe('priority tiers', () => {
  const config = (backends: readonly RawBackend[], down: readonly RawBackend[] = []) =>
    simpleConfig([], {
      service: {
        backends: backends.map(({ url }, index) => ({ url, priority: index < 2 ? 0 : 1 })),
        health: { use: 'static', down: down.map(({ url }) => url) },
      },
    })

  test('the next tier takes what the first cannot, and gives it back', async () => {
    const backends = await named(4)
    const lb = await serve(config(backends))
    expect(await bodies(lb.port, 40)).toEqual([20, 20])
    await lb.apply(config(backends, [backends[0]]))
    const half = await bodies(lb.port, 200)
    expect(half[0]).toBe(0)
    // 1.4 × one half: 70 %, exact to a turn of each.
    expect(Math.abs(half[1] - 140)).toBeLessThanOrEqual(2)
    expect(Math.abs(half[2] - 30)).toBeLessThanOrEqual(2)
    await lb.apply(config(backends, backends.slice(0, 2)))
    expect(await bodies(lb.port, 40)).toEqual([0, 0, 20, 20])
    await lb.apply(config(backends))
    expect(await bodies(lb.port, 40)).toEqual([20, 20])
  })

  test('a broken first tier is answered for by the next one', async () => {
    const backends = await named(3)
    const lb = await serve(config(backends))
    await backends[0].stop()
    await backends[1].stop()
    expect(await bodies(lb.port, 10)).toEqual([0, 0, 10])
  })
})

test('a node prefers the backends of its zone, and goes elsewhere rather than queue or fail', async () => {
  const backends = await named(3)
  const zones = ['here', 'there', 'there']
  const lb = await startLb(
    simpleConfig([], {
      node: { threads: 1, zone: 'there' },
      service: { backends: backends.map(({ url }, index) => ({ url, zone: zones[index] })) },
    }),
  )
  expect(await bodies(lb.port, 20)).toEqual([0, 10, 10])
  await backends[1].stop()
  await backends[2].stop()
  expect(await bodies(lb.port, 10)).toEqual([10])
})

describe('load bound', () => {
  test('a hot key spreads over the others as its own backend fills, and goes home when it is free', async () => {
    const held: BackendConnection[] = []
    const hold = (_: unknown, connection: BackendConnection): void => void held.push(connection)
    const backends = await Promise.all([hold, hold, hold, hold].map((handler) => rawBackend(handler)))
    const counts = (): number[] => backends.map(({ requests }) => requests.length)
    const total = (): number => counts().reduce((sum, count) => sum + count, 0)
    const lb = await serve(
      simpleConfig(backends, { service: { algorithm: 'maglev', key: 'path', loadBound: 1.25 } }),
    )
    const answers: Promise<RawResponse>[] = []
    const ask = async (): Promise<void> => {
      const before = total()
      answers.push((await rawClient(lb.port)).request(request()))
      await until('it has arrived', () => total() === before + 1)
    }
    await ask()
    const home = counts().indexOf(1)
    for (let sent = 2; sent <= 16; sent++) {
      await ask()
      expect(Math.max(...counts())).toBeLessThanOrEqual(Math.ceil((1.25 * sent) / 4))
    }
    // 1.25 × 16 / 4.
    expect(counts()[home]).toBe(5)
    const release = async (): Promise<void> => {
      for (const connection of held.splice(0)) connection.write(response({ body: 'ok' }))
      await Promise.all(answers.splice(0))
    }
    await release()
    await ask()
    expect(counts()[home]).toBe(6)
    await release()
  })
})

describe('a reload of the settings', () => {
  test('keeps the connections, and the counts of what is in flight', async () => {
    const backends = await named(2)
    const config = (service: Record<string, unknown>) => simpleConfig(backends, { service })
    const lb = await serve(config({}))
    const client = await rawClient(lb.port)
    const used = (): number => backends.reduce((sum, { connections }) => sum + connections.length, 0)
    for (let i = 0; i < 4; i++) await client.request(request())
    const before = used()
    const steps = [{ loadBound: 1.25 }, { slowStart: '30s' }, { zonePreference: false }, {}]
    for (const settings of steps) {
      await lb.apply(config(settings))
      for (let i = 0; i < 4; i++) expect((await client.request(request())).status).toBe(200)
    }
    expect(used()).toBe(before)
  })
})

test('slow start: a backend that a reload adds gets a tenth of its share at first', async () => {
  const backends = await named(3)
  const config = (count: number) =>
    simpleConfig(backends.slice(0, count), {
      service: { slowStart: '24h', algorithm: 'weighted-round-robin' },
    })
  // Of a service that is new all begin with their whole share.
  const lb = await startLb(config(2))
  expect(await bodies(lb.port, 20)).toEqual([10, 10])
  await lb.apply(config(3))
  const counts = await bodies(lb.port, 210)
  expect(counts[2]).toBeGreaterThanOrEqual(9)
  expect(counts[2]).toBeLessThanOrEqual(11)
})

test('a config of many backends comes to the thread in parts, and is served whole', async () => {
  const [first, second] = await named(2)
  const many = (live: RawBackend) => ({
    backends: [
      ...Array.from({ length: 450 }, (_, index) => ({ url: `http://127.1.0.1:${2000 + index}`, weight: 0 })),
      { url: live.url },
    ],
  })
  const config = (one: RawBackend, other: RawBackend) =>
    simpleConfig([], {
      routes: [{ match: { path: '/other' }, service: 'other' }, { service: 'app' }],
      services: { app: many(one), other: many(other) },
    })
  const lb = await serve(config(first, second))
  const client = await rawClient(lb.port)
  const served = async () => [
    (await client.request(request())).body.toString(),
    (await client.request(request({ target: '/other' }))).body.toString(),
  ]
  expect(await served()).toEqual(['0', '1'])
  await lb.apply(config(second, first))
  expect(await served()).toEqual(['1', '0'])
})
