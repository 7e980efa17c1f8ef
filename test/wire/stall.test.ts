import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { type BackendConnection, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const plugins = ['./plugins/stall.ts']
const serve = reusedLb({ directory })

/** Twenty requests under way with a deadline of 500 ms, then the loop of the data thread stands still. */
async function stallFor(stallMs: number, answerMs: number): Promise<number[]> {
  const held: BackendConnection[] = []
  const backend = await rawBackend(({ target }, connection) => {
    if (target.startsWith('/stall')) connection.write(response({ body: 'stalled' }))
    else held.push(connection)
  })
  const service = { timeouts: { firstByte: '500ms' }, retries: { attempts: 0 }, filters: ['stall'] }
  const lb = await serve(simpleConfig([backend], { plugins, service }))
  const clients = await Promise.all(Array.from({ length: 20 }, () => rawClient(lb.port)))
  for (const client of clients) client.write(request())
  const stalling = await rawClient(lb.port)
  await until('all requests are at the backend', () => held.length === clients.length)
  stalling.write(request({ target: `/stall?${stallMs}` }))
  setTimeout(() => held.forEach((one) => void one.write(response({ body: 'ok' }))), answerMs)
  const answers = await Promise.all([...clients, stalling].map((client) => client.response()))
  return answers.map(({ status }) => status)
}

test('a loop that stalls for 800 ms turns no answer of 100 ms into a 504 at a deadline of 500 ms', async () => {
  for (let round = 0; round < 3; round++) expect(new Set(await stallFor(800, 100))).toEqual(new Set([200]))
})

test('a stall of over a second extends deadlines: an answer 200 ms behind it is in time', async () => {
  expect(new Set(await stallFor(1_300, 1_500))).toEqual(new Set([200]))
})

test('without a stall the deadline holds', async () => {
  const statuses = await stallFor(0, 1_500)
  expect(statuses.filter((status) => status === 504)).toHaveLength(20)
})

test('a head that arrives while the loop stalls is not late', async () => {
  const backend = await rawBackend()
  const limits = { headTimeout: '500ms', keepAlive: '500ms' }
  const lb = await serve(simpleConfig([backend], { plugins, limits, service: { filters: ['stall'] } }))
  const clients = await Promise.all(Array.from({ length: 10 }, () => rawClient(lb.port)))
  const [first, ...others] = clients
  for (const client of others) client.write('GET / HTTP/1.1\r\n')
  first.write(request({ target: '/stall?800' }))
  setTimeout(() => others.forEach((client) => void client.write('Host: a\r\n\r\n')), 100)
  const answers = await Promise.all(clients.map((client) => client.response()))
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
})
