/** The operator's switch of breakers, over the admin listener of a real LB server. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Lb, simpleConfig, startLb } from '../harness/lb.ts'
import { type RawBackend, rawBackend, response } from '../harness/raw-backend.ts'
import { rawClient, request } from '../harness/raw-client.ts'
import { until } from '../harness/until.ts'

function dataDirectory(): string {
  const data = mkdtempSync(join(tmpdir(), 'millrace-overrides-'))
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))
  return data
}

const named = (name: string, status = 200): Promise<RawBackend> =>
  rawBackend((_, connection) => connection.write(response({ status, body: name })))

function start(backends: readonly RawBackend[], data: string, service: object = {}): Promise<Lb> {
  return startLb(
    simpleConfig(backends, {
      node: { threads: 1, data },
      admin: { address: '127.0.0.1:0' },
      service: { ...service },
    }),
  )
}

interface Told {
  readonly status: number
  readonly body: Record<string, unknown>
}

async function tell(
  lb: Lb,
  method: string,
  body?: unknown,
  path = '/v1/services/app/breaker',
): Promise<Told> {
  const answer = await fetch(`http://127.0.0.1:${lb.server.admin!.port}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

/** Who answers the next requests. */
async function answers(lb: Lb, count = 6): Promise<ReadonlySet<string>> {
  const client = await rawClient(lb.port)
  const seen = new Set<string>()
  for (let i = 0; i < count; i++) seen.add((await client.request(request())).body.toString().split(':')[0])
  return seen
}

test('a backend held open gets nothing, at once, after a reload and after a restart; then it is let go', async () => {
  const data = dataDirectory()
  const [a, b] = [await named('a'), await named('b')]
  const lb = await start([a, b], data)
  expect(await answers(lb)).toEqual(new Set(['a', 'b']))
  const decision = { mode: 'open', backend: a.url, reason: 'disk is failing', actor: 'ann' }
  expect((await tell(lb, 'PUT', decision)).status).toBe(200)
  expect(await answers(lb)).toEqual(new Set(['b']))
  await lb.apply(
    simpleConfig([a, b], {
      node: { threads: 1, data },
      admin: { address: '127.0.0.1:0' },
      service: { panicThreshold: '100%', algorithm: 'random' },
    }),
  )
  expect(await answers(lb)).toEqual(new Set(['b']))
  await lb.server.close()

  const again = await start([a, b], data)
  expect(await answers(again)).toEqual(new Set(['b']))
  expect(await again.metric('millrace_breaker_forced', a.url)).toBe(1)
  expect(again.server.services()[0].backends.map(({ forced }) => forced)).toEqual(['open', 'auto'])
  const { body } = await tell(again, 'GET', undefined, '/v1/overrides')
  expect(body.breakers).toMatchObject([
    { service: 'app', backend: a.url, reason: 'disk is failing', actor: 'ann' },
  ])
  expect((await tell(again, 'DELETE')).body).toMatchObject({ revision: 2, breakers: [] })
  expect(await answers(again)).toEqual(new Set(['a', 'b']))
})

test('a whole service held open answers 503, save a backend that was exempted', async () => {
  const lb = await start([await named('a'), await named('b')], dataDirectory())
  await tell(lb, 'PUT', { mode: 'open', reason: 'incident 7' })
  expect(await answers(lb, 2)).toEqual(new Set(['MR_NO_BACKEND']))
  const [{ url }] = lb.server.services()[0].backends
  await tell(lb, 'PUT', { mode: 'auto', backend: url, reason: 'this one is good' })
  expect(await answers(lb)).toEqual(new Set(['a']))
})

test('a breaker held closed does not stop a backend that fails', async () => {
  const lb = await start([await named('a', 500)], dataDirectory(), {
    breaker: { use: 'consecutive-errors', errors: 2 },
    panicThreshold: '0%',
  })
  await tell(lb, 'PUT', { mode: 'closed', reason: 'we want to see its errors' })
  expect(await answers(lb, 8)).toEqual(new Set(['a']))
  await tell(lb, 'DELETE')
  expect(await answers(lb, 8)).toEqual(new Set(['a', 'MR_NO_BACKEND']))
})

test('a decision ends by itself', async () => {
  const lb = await start([await named('a'), await named('b')], dataDirectory())
  const [{ url }] = lb.server.services()[0].backends
  expect((await tell(lb, 'PUT', { mode: 'open', backend: url, reason: 'short', for: '300ms' })).status).toBe(
    200,
  )
  expect(lb.server.services()[0].backends[0].forced).toBe('open')
  await until('it is over', () => lb.server.services()[0].backends[0].forced === 'auto')
  expect(await answers(lb)).toEqual(new Set(['a', 'b']))
})

test('it reaches a backend that a later config brings', async () => {
  const [a, b] = [await named('a'), await named('b')]
  const data = dataDirectory()
  const lb = await start([a], data)
  await tell(lb, 'PUT', { mode: 'open', reason: 'all of it' })
  await lb.apply(simpleConfig([a, b], { node: { threads: 1, data }, admin: { address: '127.0.0.1:0' } }))
  expect(await answers(lb, 2)).toEqual(new Set(['MR_NO_BACKEND']))
  expect(b.connections).toHaveLength(0)
})

test('what was decided about a backend or service that has left the config can be taken back', async () => {
  const [a, b] = [await named('a'), await named('b')]
  const data = dataDirectory()
  const parts = { node: { threads: 1, data }, admin: { address: '127.0.0.1:0' } }
  const two = simpleConfig([a, b], parts)
  const lb = await startLb({ ...two, services: { ...two.services, old: { backends: [b.url] } } })
  await tell(lb, 'PUT', { mode: 'open', backend: b.url, reason: 'x' })
  await tell(lb, 'PUT', { mode: 'open', reason: 'x' }, '/v1/services/old/breaker')
  await lb.apply(simpleConfig([a], parts))
  const path = `/v1/services/app/breaker?backend=${encodeURIComponent(b.url)}`
  expect((await tell(lb, 'DELETE', undefined, path)).status).toBe(200)
  const left = await tell(lb, 'DELETE', undefined, '/v1/services/old/breaker')
  expect(left).toMatchObject({ status: 200, body: { breakers: [] } })
  expect((await tell(lb, 'DELETE', undefined, path)).status).toBe(400)
})

test('what cannot be decided says why and changes nothing', async () => {
  const data = dataDirectory()
  const lb = await start([await named('a')], data)
  const past = '2020-01-01T00:00:00Z'
  expect(await tell(lb, 'PUT', { mode: 'ajar', reason: 'x' })).toMatchObject({
    status: 400,
    body: { problems: [{ path: 'mode' }] },
  })
  expect(await tell(lb, 'PUT', { mode: 'open' })).toMatchObject({
    status: 400,
    body: { problems: [{ path: 'reason' }] },
  })
  expect(await tell(lb, 'PUT', { mode: 'open', reason: 'x', until: past, for: '1s' })).toMatchObject({
    status: 400,
  })
  expect((await tell(lb, 'PUT', { mode: 'open', reason: 'x', until: past })).body.message).toContain(
    'has passed',
  )
  expect((await tell(lb, 'PUT', { mode: 'open', reason: 'x', backend: 'http://x' })).body.message).toContain(
    'service app has no backend http://x',
  )
  expect(await tell(lb, 'PUT', { mode: 'open', reason: 'x' }, '/v1/services/shop/breaker')).toMatchObject({
    status: 404,
    body: { error: 'MR_SERVICE_UNKNOWN' },
  })
  expect(existsSync(join(data, 'overrides.json'))).toBe(false)
  expect(await answers(lb)).toEqual(new Set(['a']))
})

test('a page in a browser cannot decide', async () => {
  const lb = await start([await named('a')], dataDirectory())
  const put = (headers: Record<string, string>): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { port } = lb.server.admin!
      const path = '/v1/services/app/breaker'
      const sent = http.request({ port, host: '127.0.0.1', method: 'PUT', path, headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })
      sent.on('error', reject)
      sent.end(JSON.stringify({ mode: 'open', reason: 'x' }))
    })
  const json = { 'content-type': 'application/json' }
  expect(await put({ ...json, origin: 'http://evil.example' })).toBe(403)
  expect(await put({ ...json, host: 'evil.example' })).toBe(403)
  expect(await put(json)).toBe(200)
})

test('a broken file is kept aside and does not stop the start', async () => {
  const data = dataDirectory()
  writeFileSync(join(data, 'overrides.json'), '{"schema":1,"revision":')
  const lb = await start([await named('a')], data)
  expect(await answers(lb)).toEqual(new Set(['a']))
  expect(readFileSync(join(data, 'overrides.json.broken'), 'utf8')).toContain('"schema":1')
  expect(lb.log.some(({ level, message }) => level === 'error' && message.includes('overrides'))).toBe(true)
})
