import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AccessLog } from '#core/observe/access-log'
import type { AccessRecord } from '#core/observe/access-record'
import { until } from '../harness/until.ts'

let directory: string
let opened: AccessLog[]
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-access-'))
  opened = []
})
afterEach(async () => {
  for (const log of opened) await log.close()
  rmSync(directory, { recursive: true, force: true })
})

/** A clock whose time passes when `tick` is called. */
function manual() {
  let run: (() => void) | undefined
  return {
    tick: () => run?.(),
    get running() {
      return run !== undefined
    },
    clock: {
      every(_ms: number, callback: () => void) {
        run = callback
        const cancel = () => {
          run = undefined
        }
        return { cancel }
      },
    },
    failed(error: Error): void {
      throw error
    },
  }
}

function openLog(path: string, deps = manual()): AccessLog {
  const log = new AccessLog(path, deps)
  opened.push(log)
  return log
}

const record: AccessRecord = {
  time: Date.UTC(2024, 0, 2, 3, 4, 5, 678),
  id: 'r-1',
  listener: 'web',
  route: 'shop.example.com/api',
  service: 'api',
  backend: 'http://127.0.0.1:9001',
  attempts: 2,
  method: 'GET',
  host: 'shop.example.com',
  target: '/api?q="x"\u0001é',
  status: 200,
  bytesIn: 0,
  bytesOut: 64,
  durationMs: 1.23456,
  upstreamMs: 1,
  overheadMs: 0.0312,
  outcome: 'ok',
  errorCode: '',
  clientAddress: '192.0.2.1',
}

const lines = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

test('a line is the exchange as JSON, and nothing else', async () => {
  const path = join(directory, 'access.log')
  const log = openLog(path)
  log.write(record)
  await log.close()
  expect(lines(path)).toEqual([
    {
      type: 'access',
      time: '2024-01-02T03:04:05.678Z',
      id: 'r-1',
      listener: 'web',
      client: '192.0.2.1',
      method: 'GET',
      host: 'shop.example.com',
      target: '/api?q="x"\u0001é',
      status: 200,
      route: 'shop.example.com/api',
      service: 'api',
      backend: 'http://127.0.0.1:9001',
      attempts: 2,
      bytesIn: 0,
      bytesOut: 64,
      durationMs: 1.235,
      upstreamMs: 1,
      overheadMs: 0.031,
      outcome: 'ok',
      errorCode: null,
    },
  ])
})

test('what is not known is null, so that every line has the same keys', async () => {
  const path = join(directory, 'access.log')
  const log = openLog(path)
  const nothing = { ...record, route: '', service: '', backend: '', status: 0, upstreamMs: Number.NaN }
  log.write(record)
  log.write({ ...nothing, overheadMs: Number.NaN, outcome: 'client-abort', clientAddress: '' })
  await log.close()
  const [first, second] = lines(path)
  expect(Object.keys(second)).toEqual(Object.keys(first))
  const expected = {
    route: null,
    service: null,
    backend: null,
    status: null,
    upstreamMs: null,
    overheadMs: null,
    client: null,
  }
  expect(second).toMatchObject(expected)
})

test('lines reach the file in time without a close, and a file that is there is appended to', async () => {
  const path = join(directory, 'access.log')
  const first = openLog(path)
  first.write({ ...record, id: 'before' })
  await first.close()
  const deps = manual()
  const log = openLog(path, deps)
  log.write({ ...record, id: 'after' })
  await until('the line is in the file', () => {
    deps.tick()
    return lines(path).length === 2
  })
  expect(lines(path).map(({ id }) => id)).toEqual(['before', 'after'])
})

test('close writes all that is held, stops the timer, and may be called twice; later lines are ignored', async () => {
  const path = join(directory, 'access.log')
  const deps = manual()
  const log = openLog(path, deps)
  for (let i = 0; i < 5000; i++) log.write({ ...record, id: String(i) })
  await Promise.all([log.close(), log.close()])
  log.write(record)
  expect(deps.running).toBe(false)
  expect(lines(path).map(({ id }) => id)).toEqual(Array.from({ length: 5000 }, (_, i) => String(i)))
  expect(log.dropped).toBe(0)
})

test('reopen goes on in a new file after a rotation, and loses nothing', async () => {
  const path = join(directory, 'access.log')
  const deps = manual()
  const log = openLog(path, deps)
  log.write({ ...record, id: 'written' })
  await until('the line is in the file', () => {
    deps.tick()
    return lines(path).length === 1
  })
  log.write({ ...record, id: 'held' })
  renameSync(path, `${path}.1`)
  log.reopen()
  log.write({ ...record, id: 'new' })
  await log.close()
  expect(lines(`${path}.1`).map(({ id }) => id)).toEqual(['written', 'held'])
  expect(lines(path).map(({ id }) => id)).toEqual(['new'])
})

test('a rotation before the first line was written loses nothing either', async () => {
  const path = join(directory, 'access.log')
  const log = openLog(path)
  log.write({ ...record, id: 'first' })
  log.reopen()
  log.write({ ...record, id: 'second' })
  log.reopen()
  log.write({ ...record, id: 'third' })
  await log.close()
  // Streams that write to one file at a time may finish in any order.
  expect(
    lines(path)
      .map(({ id }) => id)
      .sort(),
  ).toEqual(['first', 'second', 'third'])
})

test('a file that cannot be opened is named', () => {
  const path = join(directory, 'missing', 'access.log')
  const open = () => new AccessLog(path, manual())
  expect(open).toThrow(expect.objectContaining({ code: 'MR_CONFIG_FILE', path: 'accessLog' }))
  expect(open).toThrow(path)
})

test('lines that nobody stores in time are dropped and told of, once', async () => {
  const told: string[] = []
  const deps = { ...manual(), failed: (error: Error) => void told.push(error.message) }
  const log = openLog(join(directory, 'access.log'), deps)
  for (let i = 0; i < 2500; i++) log.write({ ...record, target: 'x'.repeat(8000) })
  expect(log.dropped).toBeGreaterThan(0)
  deps.tick()
  deps.tick()
  expect(told).toEqual([expect.stringContaining(`${log.dropped} lines dropped`)])
})
