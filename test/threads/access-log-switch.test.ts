import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../core/host/clock.ts'
import type { AccessRecord } from '../../core/observe/access-record.ts'
import { AccessLogSwitch } from '../../core/threads/access-log-switch.ts'
import { until } from '../harness/until.ts'
import { testLog } from './fixtures/server.ts'

const record = (id: string): AccessRecord => ({
  time: 0,
  id,
  listener: 'web',
  route: '',
  service: '',
  backend: '',
  attempts: 0,
  method: 'GET',
  host: '',
  target: '/',
  status: 200,
  bytesIn: 0,
  bytesOut: 0,
  durationMs: 0,
  upstreamMs: Number.NaN,
  overheadMs: Number.NaN,
  outcome: 'ok',
  errorCode: '',
  clientAddress: '',
})

test('a log that cannot be reopened after a rotation goes on in the old file, and says so', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'logs', 'access.log')
  mkdirSync(join(folder, 'logs'))
  const { lines, log } = testLog()
  const switched = new AccessLogSwitch(systemClock, log)
  switched.prepare({ enabled: true, path }).commit()
  switched.write([record('before')])
  await until('the line is written', () => readFileSync(path, 'utf8').includes('"before"'))
  renameSync(join(folder, 'logs'), join(folder, 'away'))
  switched.reopen()
  expect(lines).toMatchObject([
    { level: 'error', fields: { path, error: expect.stringContaining('ENOENT') } },
  ])
  switched.write([record('after')])
  await switched.close()
  expect(readFileSync(join(folder, 'away', 'access.log'), 'utf8')).toContain('"id":"after"')
})
