import { describe, expect, test } from 'vitest'
import { reusedLb, simpleConfig } from '../harness/lb.ts'
import { rawBackend, response } from '../harness/raw-backend.ts'
import { type RawClient, rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

const admin = { address: '127.0.0.1:0' }
const serve = reusedLb()

describe('a backend that dies under GET load', () => {
  test('fails no request', async () => {
    const backends = await Promise.all([rawBackend(), rawBackend(), rawBackend()])
    const lb = await serve(simpleConfig(backends, { admin }))
    const failures: string[] = []
    let answered = 0
    let going = true
    const ask = async (client: RawClient): Promise<void> => {
      while (going) {
        const answer = await client.request(request())
        if (answer.status !== 200) failures.push(`${answer.status} ${answer.body}`)
        answered++
      }
    }
    const clients = await Promise.all(Array.from({ length: 16 }, () => rawClient(lb.port)))
    const asking = clients.map((client) =>
      ask(client).catch((error: Error) => void failures.push(error.message)),
    )
    await until('the load runs', () => answered > 200)
    await backends[1].stop()
    const then = answered
    await until('the load goes on', () => answered > then + 500)
    going = false
    await Promise.all(asking)
    expect(failures).toEqual([])
    expect(backends[1].requests.length).toBeGreaterThan(0)
  })
})

describe('after exchanges of every kind have ended', () => {
  test('nothing is in flight, queued or open', async () => {
    const backend = await rawBackend(({ target }, connection) => {
      if (target === '/ok') connection.write(response({ body: 'x'.repeat(100_000) }))
      else if (target === '/close') connection.end('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nsome')
      else if (target === '/bad') connection.write('garbage\r\n\r\n')
      else if (target === '/reset') connection.abort()
    })
    const timeouts = { firstByte: '400ms', idle: '400ms' }
    const lb = await serve(
      simpleConfig([backend], { admin, service: { timeouts, retries: { attempts: 0 } } }),
    )
    const upload = request({ method: 'POST', target: '/ok', fields: ['Content-Length: 5000'], body: 'some' })
    const kinds: readonly [string, 'read' | 'abort' | 'end'][] = [
      [request({ target: '/ok' }), 'read'],
      [request({ target: '/ok' }), 'abort'],
      [request({ target: '/close' }), 'read'],
      [request({ target: '/bad' }), 'read'],
      [request({ target: '/reset' }), 'read'],
      [request({ target: '/silent' }), 'read'],
      [request({ target: '/silent' }), 'abort'],
      [request({ target: '/silent' }), 'end'],
      [upload, 'abort'],
      [upload, 'end'],
      [request({ target: '/ok' }).slice(0, 30), 'abort'],
      [request({ fields: ['Connection: upgrade', 'Upgrade: websocket'], target: '/silent' }), 'abort'],
    ]
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        kinds.map(async ([bytes, then]) => {
          const client = await rawClient(lb.port)
          client.write(bytes)
          if (then === 'read') await client.response().catch(() => undefined)
          else if (then === 'abort') client.abort()
          else client.end()
          if (then === 'end') await client.ended()
          client.socket.destroy()
        }),
      )
    }
    const names = ['requests_in_flight', 'client_connections', 'retries_in_flight', 'tunnels', 'pool_queued']
    const gauges = async (): Promise<number[]> =>
      Promise.all(names.map((name) => lb.metric(`millrace_${name}`)))
    let last = await gauges()
    const from = performance.now()
    while (last.some((value) => value !== 0) && performance.now() - from < 5_000) last = await gauges()
    expect(Object.fromEntries(names.map((name, i) => [name, last[i]]))).toEqual(
      Object.fromEntries(names.map((name) => [name, 0])),
    )
    expect(await lb.metric('millrace_backend_in_flight')).toBe(0)
    expect(await lb.metric('millrace_pool_open')).toBe(backend.open.length)
  })
})
