/** The audit log: who has changed what through the API, or tried to. */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Audit } from '../../core/api/audit.ts'
import { systemClock } from '../../core/host/clock.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime } from '../conformance/time.ts'
import { until } from '../harness/until.ts'
import { testLog } from '../threads/fixtures/server.ts'
import { apiOf, config, tokens } from './harness.ts'

const record = (n: number) => ({
  ...{ at: '2026-01-01T00:00:00.000Z', request: `r-${n}`, actor: 'ann', role: 'admin', from: '::1' },
  ...{ route: 'PUT /v1/config', url: '/v1/config', status: 200 },
})

test('who, what, from which revision to which; refusals too, and no secret', async () => {
  const api = await apiOf()
  await api.put(config())
  const added = await api.ask('POST', '/v1/services/shop/backends', {
    who: 'operate',
    body: { url: 'http://127.0.0.1:9003' },
  })
  await api.ask('PUT', '/v1/services/shop/breaker', { who: 'operate', body: { mode: 'open', reason: 'x' } })
  await api.ask('DELETE', '/v1/services/shop', { who: 'read' })
  await api.ask('DELETE', '/v1/services/shop', { who: 'nobody' })
  await api.ask('GET', '/v1/config')
  const records = api.audit()
  expect(records).toMatchObject([
    {
      actor: 'admin',
      role: 'admin',
      route: 'PUT /v1/config',
      status: 200,
      document: 'config',
      before: 0,
      after: 1,
    },
    {
      actor: 'operate',
      role: 'operate',
      from: '127.0.0.1',
      route: 'POST /v1/services/:service/backends',
      url: '/v1/services/shop/backends',
      document: 'config',
      target: 'services/shop/backends/http://127.0.0.1:9003',
      before: 1,
      after: 2,
      request: added.headers.get('millrace-request-id'),
    },
    { document: 'overrides', target: 'breakers/shop', before: 0, after: 1 },
  ])
  const { body } = await api.ask('GET', '/v1/audit?limit=2')
  expect(body.records).toEqual([records[2], records[1]])
  expect(body.refused).toMatchObject([
    { actor: 'read', route: 'DELETE /v1/services/:service', status: 403, code: 'MR_FORBIDDEN', count: 1 },
  ])
  expect(body.refused[0]).not.toHaveProperty('document')
  const everything = JSON.stringify([records, body, api.lines])
  for (const token of Object.values(tokens)) expect(everything).not.toContain(token)
  expect(api.lines.filter(({ message }) => message.startsWith('audit:'))).toHaveLength(4)
  expect(api.lines.filter(({ message }) => message.includes('without a valid token'))).toHaveLength(1)
  expect(statSync(join(api.data, 'audit.jsonl')).mode & 0o777).toBe(0o600)
})

test('survives a restart, a line that was cut off, and a disk that is full; files stay short', async () => {
  const data = mkdtempSync(join(tmpdir(), 'millrace-audit-'))
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))
  const file = join(data, 'audit.jsonl')
  const { lines, log } = testLog()
  writeFileSync(file, `${JSON.stringify(record(1))}\n{"at":"2026`)
  const files = { file, refusedFile: join(data, 'audit-refused.jsonl') }
  const audit = new Audit({ ...files, log, clock: systemClock, longestFile: 2000 })
  await audit.load()
  expect(audit.list(10)).toEqual([record(1)])
  for (let n = 2; n <= 30; n++) await audit.append(record(n))
  const again = new Audit({ ...files, log, clock: systemClock, longestFile: 2000 })
  await again.load()
  expect(again.list(1)).toEqual([record(30)])
  expect(statSync(file).size).toBeLessThan(2500)
  expect(statSync(`${file}.1`).size).toBeLessThan(2500)
  expect(lines.filter(({ level }) => level === 'error')).toEqual([])
  const nowhere = new Audit({ ...files, file: join(file, 'no-folder'), log, clock: systemClock })
  await nowhere.append(record(31))
  expect(nowhere.list(1)).toEqual([record(31)])
  expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
})

test('a token that may change nothing displaces no change and holds up none: what it repeats is counted', async () => {
  const time = new FakeTime()
  const api = await apiOf({ clock: time.clock() })
  await api.put(config())
  const changes = api.audit()
  for (let n = 0; n < 1200; n += 50)
    await Promise.all(
      Array.from({ length: 50 }, () => api.ask('DELETE', '/v1/services/shop', { who: 'read' })),
    )
  const list = async () => (await api.ask('GET', '/v1/audit?limit=9999')).body
  const { records, refused } = await list()
  expect(records).toEqual(changes)
  expect(api.audit()).toEqual(changes)
  expect(refused).toMatchObject([{ actor: 'read', status: 403, count: 1 }])
  // Another route is another matter.
  await api.ask('DELETE', '/v1/services/other/drain', { who: 'read' })
  expect((await list()).refused).toHaveLength(2)
  time.advance(10_000)
  expect((await list()).refused).toMatchObject([{ count: 1199 }, { count: 1 }, { count: 1 }])
  await until('all are on the disk', () => api.audit('audit-refused').length === 3)
  expect(api.lines.filter(({ message }) => message.startsWith('audit: read '))).toHaveLength(3)
  // Nothing was repeated any more: the next is told at once.
  time.advance(20_000)
  await api.ask('DELETE', '/v1/services/shop', { who: 'read' })
  expect((await list()).refused).toHaveLength(4)
})

test('a write that has failed here may have reached the store: it stands among the changes', async () => {
  const store = new MemoryStore(new FakeTime()).client()
  const api = await apiOf({ store })
  await api.put(config())
  store.cut = true
  await api.ask('DELETE', '/v1/services/shop')
  await api.ask('DELETE', '/v1/services/shop', { who: 'read' })
  expect(api.audit()).toMatchObject([
    { route: 'PUT /v1/config', status: 200 },
    { route: 'DELETE /v1/services/:service', actor: 'admin', status: 503 },
  ])
})

test('a file that cannot be put aside goes on growing, and no line is missing', async () => {
  const data = mkdtempSync(join(tmpdir(), 'millrace-audit-'))
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))
  const files = { file: join(data, 'audit.jsonl'), refusedFile: join(data, 'audit-refused.jsonl') }
  mkdirSync(join(data, 'audit.jsonl.1', 'in the way'), { recursive: true })
  const { lines, log } = testLog()
  const audit = new Audit({ ...files, log, clock: systemClock, longestFile: 500 })
  await audit.load()
  for (let n = 0; n < 10; n++) await audit.append(record(n))
  const again = new Audit({ ...files, log, clock: systemClock, longestFile: 500 })
  await again.load()
  expect(again.list(100)).toHaveLength(10)
  expect(lines.some(({ message }) => message.includes('cannot be put aside'))).toBe(true)
})

test('a change that is under way when the API stops stands in the log, though its client has gone', async () => {
  const store = new MemoryStore(new FakeTime()).client()
  const api = await apiOf({ store })
  await api.put(config())
  const put = store.put.bind(store)
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
  let isAsked = false
  store.put = async (...given) => {
    isAsked = true
    await mayGoOn
    return put(...given)
  }
  const asked = api.ask('PUT', '/v1/config', { body: config([]), headers: { 'if-match': '"1"' } })
  const answer = asked.then(
    ({ status }) => status,
    () => 'cut off',
  )
  await until('the store is asked', () => isAsked)
  const closing = api.server.close()
  expect(await answer).toBe('cut off')
  goOn()
  await closing
  expect(api.audit().at(-1)).toMatchObject({ route: 'PUT /v1/config', status: 200, before: 1, after: 2 })
})

test('what was counted is written at the end, and what comes while a write is under way is one more write', async () => {
  const data = mkdtempSync(join(tmpdir(), 'millrace-audit-'))
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))
  const time = new FakeTime()
  const files = { file: join(data, 'audit.jsonl'), refusedFile: join(data, 'audit-refused.jsonl') }
  const { lines, log } = testLog()
  const audit = new Audit({ ...files, log, clock: time.clock() })
  await audit.load()
  const first = audit.append(record(0))
  await Promise.resolve()
  const others = Array.from({ length: 100 }, (_, n) => audit.append(record(n + 1)))
  expect(new Set(others).size).toBe(1)
  for (let n = 0; n < 5; n++) audit.refused({ ...record(n), status: 412 })
  await Promise.all([first, ...others])
  await audit.close()
  expect(time.timers).toBe(0)
  audit.refused({ ...record(9), status: 412 })
  expect(time.timers).toBe(0)
  await audit.close()
  const again = new Audit({ ...files, log, clock: time.clock() })
  await again.load()
  expect(again.list(1000).map(({ request }) => request)).toEqual(
    Array.from({ length: 101 }, (_, n) => `r-${100 - n}`),
  )
  expect(again.listRefused(10)).toMatchObject([
    { request: 'r-9', count: 1 },
    { request: 'r-4', count: 4 },
    { request: 'r-0', count: 1 },
  ])
  expect(lines.filter(({ level }) => level === 'error')).toEqual([])
})
