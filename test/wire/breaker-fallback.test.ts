import { describe, expect, test } from 'vitest'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'

const serve = reusedLb()
const trips = { use: 'consecutive-errors', errors: 1, open: '1h' }

/** A backend that fails once, which opens its breaker. */
const failing = () =>
  rawBackend((_, connection) => connection.write(response({ status: 500, body: 'broken' })))

describe('while the breakers let nothing through', () => {
  test('a static answer is given, with its headers', async () => {
    const backend = await failing()
    const fallback = {
      status: 200,
      headers: { 'Content-Type': 'text/plain', 'X-Stale': 'yes' },
      body: 'closed for today',
    }
    const lb = await serve(
      simpleConfig([backend], { service: { breaker: { ...trips, fallback }, panicThreshold: '0%' } }),
    )
    const client = await rawClient(lb.port)
    expect((await client.request(request())).status).toBe(500)
    const answer = await client.request(request())
    expect(answer.status).toBe(200)
    expect(answer.body.toString()).toBe('closed for today')
    expect(answer.fields).toContainEqual(['X-Stale', 'yes'])
    expect((await client.request(request({ method: 'HEAD' }))).body).toHaveLength(0)
    expect(backend.requests).toHaveLength(1)
  })

  test('another service takes over, with its own filters and the body', async () => {
    const backend = await failing()
    const other = await rawBackend((asked, connection) =>
      connection.write(response({ body: `got ${asked.body}` })),
    )
    const config = simpleConfig([backend], {
      service: { breaker: { ...trips, fallback: { service: 'spare' } }, panicThreshold: '0%' },
    })
    const lb = await serve({
      ...config,
      services: {
        ...config.services,
        spare: { backends: [other.url], filters: [{ use: 'headers', request: { set: { 'X-Spare': '1' } } }] },
      },
    })
    const client = await rawClient(lb.port)
    await client.request(request())
    const answer = await client.request(request({ method: 'POST', body: 'data' }))
    expect(answer.body.toString()).toBe('got data')
    expect(other.requests[0].fields).toContainEqual(['X-Spare', '1'])
    expect(lb.server.services().map(({ inFlight }) => inFlight)).toEqual([0, 0])
  })

  test('two services that stand in for each other end in 503', async () => {
    const [a, b] = [await failing(), await failing()]
    const config = simpleConfig([a], {
      service: { breaker: { ...trips, fallback: { service: 'spare' } }, panicThreshold: '0%' },
    })
    const lb = await serve({
      ...config,
      services: {
        ...config.services,
        spare: {
          backends: [b.url],
          breaker: { ...trips, fallback: { service: 'app' } },
          panicThreshold: '0%',
        },
      },
    })
    const client = await rawClient(lb.port)
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) statuses.push((await client.request(request())).status)
    expect(statuses).toEqual([500, 500, 503, 503])
  })
})
