import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Timer } from 'millrace'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../../harness/until.ts'
import { FakeTime, healthHost } from '../fake-context.ts'
import { numbered } from '../fake-view.ts'
import { builtin, parsed } from '../make.ts'
import { answering, backend, listen, start, target } from './probes.ts'

describe('what counts as up', () => {
  test.each([
    [200, {}, true],
    [204, {}, true],
    [301, {}, false],
    [503, {}, false],
    [301, { status: '200-399' }, true],
    [204, { status: 200 }, false],
    [401, { status: [200, 401, '500-502'] }, true],
    [501, { status: [200, 401, '500-502'] }, true],
    [503, { status: [200, 401, '500-502'] }, false],
  ])('status %i with %o: %s', async (status, options, up) => {
    const { url } = await backend(answering(status))
    const { reports, round } = await start(options, [url])
    await round()
    expect(reports[0]).toMatchObject({
      id: `api/${url}`,
      up,
      reason: `status ${status}`,
      authoritative: false,
    })
    expect(reports[0].ms).toBeGreaterThanOrEqual(0)
  })

  test('a refused connection is down and says so', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    const { reports, round } = await start({}, [`http://127.0.0.1:${port}`])
    await round()
    expect(reports[0]).toMatchObject({ up: false, reason: 'connect ECONNREFUSED' })
  })

  test('a backend that breaks the connection is down, and the next probe is a new try', async () => {
    let broken = true
    const { url } = await backend((request, response) => {
      if (broken) request.socket.destroy()
      else answering(200)(request, response)
    })
    const { reports, round } = await start({}, [url])
    await round()
    broken = false
    await round()
    expect(reports.map(({ up }) => up)).toEqual([false, true])
  })

  test('an answer that does not come within the timeout is down', async () => {
    const { url, requests } = await backend(() => {})
    const { time, reports } = await start({}, [url])
    time.advance(1000)
    await until('the probe arrived', () => requests.length === 1)
    time.advance(499)
    expect(reports).toEqual([])
    time.advance(1)
    await until('it was given up', () => reports.length === 1)
    expect(reports[0]).toMatchObject({ up: false, reason: 'timeout after 500ms' })
  })

  test('a body that never ends does not matter', async () => {
    const { url, sockets } = await backend((_request, response) => void response.writeHead(200).write('x'))
    const { reports, round } = await start({}, [url])
    await round()
    expect(reports[0].up).toBe(true)
    await until('the connection was closed', () => [...sockets].every((socket) => socket.destroyed))
  })
})

describe('the request', () => {
  test('path, method, host and port are those of the options', async () => {
    const probed = await backend()
    const { round } = await start(
      { path: '/health?full=1', method: 'HEAD', host: 'shop.example.com', port: probed.port },
      ['http://127.0.0.1:1'],
    )
    await round()
    const [{ url, method, headers }] = probed.requests
    expect([url, method, headers.host, headers['user-agent']]).toEqual([
      '/health?full=1',
      'HEAD',
      'shop.example.com',
      'millrace-probe',
    ])
  })

  test('by default it is GET / to the address itself', async () => {
    const { url, port, requests } = await backend()
    const { round } = await start({}, [url])
    await round()
    expect([requests[0].method, requests[0].url, requests[0].headers.host]).toEqual([
      'GET',
      '/',
      `127.0.0.1:${port}`,
    ])
  })

  test('each probe is a new connection, closed afterwards', async () => {
    const { url, sockets, requests } = await backend()
    const { round } = await start({}, [url])
    for (let i = 0; i < 3; i++) await round()
    expect(sockets.size).toBe(3)
    expect(requests.map(({ headers }) => headers.connection)).toEqual(Array(3).fill('close'))
    await until('all are closed', () => [...sockets].every((socket) => socket.destroyed))
  })

  test('with keepAlive one connection is kept', async () => {
    const { url, sockets, requests } = await backend()
    const { round } = await start({ keepAlive: true }, [url])
    for (let i = 0; i < 3; i++) await round()
    expect([sockets.size, requests.length]).toEqual([1, 3])
  })

  test('a unix socket is probed', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-probe-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const path = join(directory, 'app.sock')
    await listen(createServer(answering(200)), { path })
    const { reports, round } = await start({ port: 9 }, [`unix:${path}`])
    await round()
    expect(reports[0]).toMatchObject({ id: `api/unix:${path}`, up: true })
  })
})

describe('the schedule', () => {
  test('targets are first probed at different moments of the first interval', async () => {
    const delays: number[] = []
    const { context } = healthHost({ clock: new FakeTime().clock(), intervalMs: 1000 })
    const after = (ms: number): Timer => {
      delays.push(ms)
      return { cancel() {} }
    }
    const plugin = builtin('health-source', 'http-probe')
    const clock = { ...context.clock, after }
    const source = await plugin.create({ ...context, clock }, parsed(plugin, {}) as never)
    source.update(numbered(50).map(({ url }) => target(url)))
    expect(Math.min(...delays)).toBeLessThan(200)
    expect(Math.max(...delays)).toBeGreaterThan(800)
    expect(Math.max(...delays)).toBeLessThan(1000)
  })

  test('probes of one target do not overlap', async () => {
    let active = 0
    let most = 0
    const waiting: ServerResponse[] = []
    const { url, requests } = await backend((_request, response) => {
      most = Math.max(most, ++active)
      response.on('close', () => active--)
      waiting.push(response)
    })
    const time = new FakeTime()
    const host = healthHost({ clock: time.clock(), intervalMs: 100, timeoutMs: 5000 })
    onTestFinished(() => host.stop())
    const plugin = builtin('health-source', 'http-probe')
    const source = await plugin.create(host.context, parsed(plugin, {}) as never)
    source.update([target(url)])
    time.advance(100)
    await until('the first arrived', () => requests.length === 1)
    time.advance(1000)
    expect(host.reports).toEqual([])
    waiting[0].end()
    await until('it was reported', () => host.reports.length === 1)
    // It took ten intervals: the next is due at once.
    time.advance(0)
    await until('the second arrived', () => requests.length === 2)
    expect(most).toBe(1)
  })

  test('targets that stay keep their schedule, new ones start, gone ones end', async () => {
    const [one, two, three] = [await backend(), await backend(), await backend()]
    const { source, time, reports, round } = await start({}, [one.url, two.url])
    await round(2)
    const timers = time.timers
    source.update([target(two.url), target(three.url)])
    expect(time.timers).toBe(timers)
    await round(2)
    expect([one, two, three].map(({ requests }) => requests.length)).toEqual([1, 2, 1])
    expect(
      reports
        .slice(2)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([`api/${two.url}`, `api/${three.url}`].sort())
  })

  test('a result that comes after its target has gone is not reported', async () => {
    const waiting: ServerResponse[] = []
    const { url, sockets } = await backend((_request, response) => void waiting.push(response))
    const { source, time, reports } = await start({}, [url])
    time.advance(1000)
    await until('the probe arrived', () => waiting.length === 1)
    source.update([])
    await until('it was broken off', () => [...sockets].every((socket) => socket.destroyed))
    expect(reports).toEqual([])
    expect(time.timers).toBe(0)
  })

  test('stopping ends timers and connections', async () => {
    const { url, sockets } = await backend()
    const { time, round, stop } = await start({ keepAlive: true }, [url])
    await round()
    await stop()
    expect(time.timers).toBe(0)
    await until('the kept connection was closed', () => [...sockets].every((socket) => socket.destroyed))
  })
})

test.each([
  { path: 'health' },
  { path: '/a b' },
  { status: 99 },
  { status: '299-200' },
  { status: [] },
  { port: 0 },
  { method: 'POST' },
])('refuses %o', async (options) => {
  await expect(start(options)).rejects.toThrow()
})
