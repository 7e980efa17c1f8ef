/** The audit log: who has changed what through the API, or tried to. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Audit } from '../../core/api/audit.ts'
import { testLog } from '../threads/fixtures/server.ts'
import { apiOf, config, tokens } from './harness.ts'

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
    { actor: 'read', route: 'DELETE /v1/services/:service', status: 403, code: 'MR_FORBIDDEN' },
  ])
  expect(records[3]).not.toHaveProperty('document')
  const { body } = await api.ask('GET', '/v1/audit?limit=2')
  expect(body.records).toEqual([records[3], records[2]])
  const everything = JSON.stringify([records, api.lines])
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
  const record = (n: number) => ({
    ...{ at: '2026-01-01T00:00:00.000Z', request: `r-${n}`, actor: 'ann', role: 'admin', from: '::1' },
    ...{ route: 'PUT /v1/config', url: '/v1/config', status: 200 },
  })
  writeFileSync(file, `${JSON.stringify(record(1))}\n{"at":"2026`)
  const audit = new Audit({ file, log, longestFile: 2000 })
  await audit.load()
  expect(audit.list(10)).toEqual([record(1)])
  for (let n = 2; n <= 30; n++) await audit.append(record(n))
  const again = new Audit({ file, log, longestFile: 2000 })
  await again.load()
  expect(again.list(1)).toEqual([record(30)])
  expect(statSync(file).size).toBeLessThan(2500)
  expect(statSync(`${file}.1`).size).toBeLessThan(2500)
  expect(lines.filter(({ level }) => level === 'error')).toEqual([])
  const nowhere = new Audit({ file: join(file, 'no-folder'), log })
  await nowhere.append(record(31))
  expect(nowhere.list(1)).toEqual([record(31)])
  expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
})
