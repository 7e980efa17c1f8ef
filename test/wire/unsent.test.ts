/**
 * A request waits for the end of the loop turn before it is written. What the backend does in that turn happens before the
 * request exists for it: an end of the connection costs nothing then, and bytes cannot be its answer.
 */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { type BackendConnection, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const serve = reusedLb({ directory })
const post = 'POST /order HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'

/**
 * The loop stalls, with two free connections to the backend; meanwhile a POST comes first, then `meanwhile` is
 * done to the one that it will be given. The loop finds all of it in one turn.
 */
async function postWithin(meanwhile: (connection: BackendConnection) => void) {
  const held: BackendConnection[] = []
  const backend = await rawBackend(({ target }, connection) => {
    if (target === '/hold') held.push(connection)
    else connection.write(response({ body: target }))
  })
  const lb = await serve(
    simpleConfig([backend], {
      plugins: ['./plugins/stall.ts'],
      service: { retries: { attempts: 0 }, filters: ['stall'] },
    }),
  )
  const holders = await Promise.all([rawClient(lb.port), rawClient(lb.port)])
  for (const client of holders) {
    client.write(request({ target: '/hold' }))
    await until('the request is at the backend', () => held.length === holders.indexOf(client) + 1)
  }
  // The connection that was used last is taken first: by the request that stalls the loop.
  const [left] = held
  for (const [i, client] of holders.entries()) {
    held[i].write(response({ body: 'held' }))
    await client.response()
  }
  const [poster, staller] = await Promise.all([rawClient(lb.port), rawClient(lb.port)])
  staller.write(request({ target: '/stall?600' }))
  setTimeout(() => poster.write(post), 200)
  setTimeout(() => meanwhile(left), 400)
  const answer = await poster.response()
  return { answer, orders: backend.requests.filter((one) => one.target === '/order').length }
}

test('a connection that ends before the request is written costs it nothing, whatever its method', async () => {
  for (let round = 0; round < 3; round++) {
    const { answer, orders } = await postWithin((connection) => connection.end())
    expect(answer.status).toBe(200)
    expect(orders).toBe(1)
  }
})

test('nor does a reset', async () => {
  for (let round = 0; round < 3; round++) {
    const { answer, orders } = await postWithin((connection) => connection.abort())
    expect(answer.status).toBe(200)
    expect(orders).toBe(1)
  }
})

test('bytes that came before the request was written are not its answer', async () => {
  for (let round = 0; round < 3; round++) {
    const { answer, orders } = await postWithin((connection) => connection.write(response({ body: 'stray' })))
    expect(answer.status).toBe(200)
    expect(answer.body.toString()).toBe('/order')
    expect(orders).toBe(1)
  }
})
