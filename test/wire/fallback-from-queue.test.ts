/** Exchanges that wait in the queue of a service when its breakers close it: all of them go to what stands for it. */
import { expect, test } from 'vitest'
import type { ConfigInput } from '#core/config/define'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { type BackendConnection, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

type Spare = NonNullable<ConfigInput['services']>[string]

const serve = reusedLb({ directory: import.meta.dirname })

/** One place; whoever waits for it is let go by the first answer, which opens the breaker. */
async function queued(spare: Spare, filters: readonly unknown[] = []) {
  let first: BackendConnection | undefined
  const backend = await rawBackend((_, connection) => {
    first = connection
  })
  const config = simpleConfig([backend], {
    plugins: ['./plugins/reading.ts', './plugins/rot13.ts'],
    service: {
      filters,
      breaker: { use: 'consecutive-errors', errors: 1, open: '1h', fallback: { service: 'spare' } },
      panicThreshold: '0%',
      connections: { max: 1, queueTimeout: '60s' },
    },
  })
  const lb = await serve({ ...config, services: { ...config.services, spare } })
  const holder = await rawClient(lb.port)
  const held = holder.request(request())
  await until('the place is taken', () => first)
  const waiting = (count: number) =>
    until('they wait', () => lb.server.services().find(({ name }) => name === 'app')?.queued === count)
  const fail = async () => {
    first?.write(response({ status: 500, body: 'broken' }))
    expect((await held).status).toBe(500)
  }
  return { lb, waiting, fail }
}

test('everybody who waits goes to the other service, not only the first', async () => {
  const other = await rawBackend()
  const { lb, waiting, fail } = await queued({ backends: [other.url] })
  const clients = await Promise.all([1, 2, 3].map(() => rawClient(lb.port)))
  const answers = clients.map((client) => client.request(request()))
  await waiting(3)
  await fail()
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200])
  expect(lb.server.services().map(({ inFlight, queued: left }) => [inFlight, left])).toEqual([
    [0, 0],
    [0, 0],
  ])
})

test('a body that a filter has read before its request waited passes the filters of the other service', async () => {
  const other = await rawBackend()
  const { lb, waiting, fail } = await queued({ backends: [other.url], filters: ['rot13'] }, [
    { use: 'reading', limit: 100 },
  ])
  const client = await rawClient(lb.port)
  const answer = client.request(request({ method: 'POST', body: 'hello' }))
  await waiting(1)
  await fail()
  expect((await answer).status).toBe(200)
  expect(other.requests[0].body.toString()).toBe('uryyb!')
})
