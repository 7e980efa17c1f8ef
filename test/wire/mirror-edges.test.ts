/** Copies where services change or stand in for each other. */
import { expect, test } from 'vitest'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const serve = reusedLb()

test('a copy for a service whose breakers let nothing through is dropped, and makes no copies of its own', async () => {
  const app = await rawBackend((_, connection) => connection.write(response({ status: 500 })))
  const other = await rawBackend()
  const config = simpleConfig([app], {
    service: {
      breaker: { use: 'consecutive-errors', errors: 1, open: '1h', fallback: { service: 'spare' } },
      panicThreshold: '0%',
    },
  })
  const lb = await serve({
    ...config,
    services: {
      ...config.services,
      spare: { backends: [other.url], filters: [{ use: 'mirror', to: 'app' }] },
    },
  })
  const client = await rawClient(lb.port)
  expect((await client.request(request())).status).toBe(500)
  expect((await client.request(request())).status).toBe(200)
  await until('nothing is in flight', () => lb.server.services().every(({ inFlight }) => inFlight === 0))
  expect(other.requests).toHaveLength(1)
  expect(lb.log.filter(({ level }) => level === 'error')).toEqual([])
})
