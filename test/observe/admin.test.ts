import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type AdminDeps, type AdminListener, type ReadinessPart, startAdmin } from '#core/observe/admin'
import { MetricsExport } from '#core/observe/registry'
import { serviceStates } from '#core/observe/service-state'
import { outcomeIndex } from '#core/observe/thread-metrics'
import { health } from '#core/threads/table'
import { measured } from './sources.ts'

const nothingDecided = { document: {}, set: async () => ({}), clear: async () => ({}) }
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function start(deps: Partial<AdminDeps> = {}): Promise<{ admin: AdminListener; get: typeof get }> {
  const source = measured()
  const admin = await startAdmin(
    { host: '127.0.0.1', port: 0 },
    {
      readiness: () => [],
      services: () => serviceStates(source),
      revision: () => 7,
      metricsText: () => new MetricsExport(source).text(),
      overrides: nothingDecided,
      ...deps,
    },
  )
  cleanups.push(() => admin.close())
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${admin.port}${path}`, init)
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: await response.text(),
    }
  }
  return { admin, get }
}

test('/livez answers while the process lives, ready or not', async () => {
  const { get } = await start({ readiness: () => [{ name: 'threads', ready: false }] })
  expect(await get('/livez')).toEqual({ status: 200, type: 'text/plain; charset=utf-8', body: 'ok\n' })
})

describe('/readyz', () => {
  test('fails with 503 while one part is not ready, and says which', async () => {
    let parts: ReadinessPart[] = [
      { name: 'listeners', ready: true, detail: 'web on 127.0.0.1:8080' },
      { name: 'threads', ready: false, detail: '1 of 2 serving' },
      { name: 'drain', ready: true },
    ]
    const { get } = await start({ readiness: () => parts })
    expect(await get('/readyz')).toMatchObject({ status: 503, body: 'not ready: threads\n' })
    expect(await get('/readyz?verbose')).toMatchObject({
      status: 503,
      body: '[+]listeners: web on 127.0.0.1:8080\n[-]threads: 1 of 2 serving\n[+]drain: ok\nnot ready\n',
    })
    parts = [{ name: 'threads', ready: true }]
    expect(await get('/readyz')).toMatchObject({ status: 200, body: 'ok\n' })
    expect(await get('/readyz?verbose')).toMatchObject({ status: 200, body: '[+]threads: ok\nready\n' })
  })
})

test('/metrics is Prometheus text', async () => {
  const { get } = await start()
  const { status, type, body } = await get('/metrics')
  expect(status).toBe(200)
  expect(type).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(body).toContain('millrace_config_revision 7\n')
})

test('/v1/services gives the live state of services and backends', async () => {
  const source = measured()
  source.table.health[3] = health.up
  source.table.health[4] = health.down
  source.table.breaker[4] = 1
  source.table.drained[4] = 1
  source.table.open[0][3] = 4
  source.table.idle[0][3] = 3
  source.table.inFlight[1][3] = 2
  source.table.active[1][1] = 2
  const [first, second] = source.threads
  first.requestDone(1, 200, 1, outcomeIndex.ok)
  second.requestDone(1, 201, 1, outcomeIndex['client-abort'])
  first.overhead(1, 0.05)
  first.backendDone(3, 0)
  second.backendDone(4, 1)
  first.connectError(4)
  const { get } = await start({ services: () => serviceStates(source), revision: () => 42 })
  const { status, type, body } = await get('/v1/services')
  expect(status).toBe(200)
  expect(type).toBe('application/json; charset=utf-8')
  const { revision, services } = JSON.parse(body)
  expect(revision).toBe(42)
  expect(services.map(({ name }: { name: string }) => name)).toEqual(['api', 'shop'])
  expect(services[0]).toMatchObject({
    algorithm: 'round-robin',
    inFlight: 2,
    queued: 0,
    requests: { none: 0, '2xx': 2, '5xx': 0 },
    durationMs: { p50: 1.1, p99: 1.1 },
    upstreamMs: { p50: null },
    overheadMs: { p50: 0.051 },
  })
  expect(services[0].backends).toEqual([
    {
      url: 'http://127.0.0.1:9001',
      weight: 1,
      zone: 'a',
      tags: [],
      priority: 0,
      health: 'up',
      drained: false,
      breaker: 'closed',
      forced: 'auto',
      inFlight: 2,
      connections: { open: 4, idle: 3, opened: 0, failed: 0 },
      attempts: { success: 1, failure: 0, cancelled: 0 },
    },
    {
      url: 'http://127.0.0.1:9002',
      weight: 1,
      zone: 'a',
      tags: [],
      priority: 0,
      health: 'down',
      reason: 'status 503',
      drained: true,
      breaker: 'open',
      forced: 'auto',
      inFlight: 0,
      connections: { open: 0, idle: 0, opened: 0, failed: 1 },
      attempts: { success: 0, failure: 1, cancelled: 0 },
    },
  ])
  expect(services[1].backends[0].health).toBe('unknown')
})

test('an unknown path is 404 with JSON that names the known ones', async () => {
  const { get } = await start()
  const { status, type, body } = await get('/nothing')
  expect(status).toBe(404)
  expect(type).toContain('application/json')
  expect(JSON.parse(body)).toMatchObject({ error: 'not_found', message: 'GET /nothing is not known' })
  expect((await get('/metrics', { method: 'POST' })).status).toBe(404)
  expect((await get('/livez', { method: 'HEAD' })).status).toBe(200)
})

test('a part that throws gives 500 with JSON, and the listener goes on', async () => {
  const { get } = await start({
    metricsText: () => Promise.reject(new Error('broken')),
  })
  const { status, body } = await get('/metrics')
  expect(status).toBe(500)
  expect(JSON.parse(body)).toMatchObject({ error: 'internal', message: 'broken' })
  expect((await get('/livez')).status).toBe(200)
})

test('an address in use is MR_LISTEN and names the address', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  cleanups.push(() => holder.close())
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const deps: AdminDeps = {
    readiness: () => [],
    services: () => [],
    revision: () => 0,
    metricsText: async () => '',
    overrides: nothingDecided,
  }
  const failed = startAdmin({ host: '127.0.0.1', port }, deps)
  await expect(failed).rejects.toMatchObject({ code: 'MR_LISTEN', path: 'admin' })
  await expect(failed).rejects.toThrow(`admin: 127.0.0.1:${port} is in use by another process`)
})

test('closes at once, with a client still connected, and twice', async () => {
  const { admin, get } = await start()
  await get('/livez')
  await admin.close()
  await admin.close()
  await expect(fetch(`http://127.0.0.1:${admin.port}/livez`)).rejects.toThrow()
})
