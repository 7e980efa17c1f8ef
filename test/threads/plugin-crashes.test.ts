import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/until.ts'
import { pluginBench, stampSource } from './fixtures/plugin-bench.ts'

/** A raw timer outside of any hook. */
const bomb = "setTimeout(() => { throw new Error('boom') }, 5)"
const slowFuse = (ms: number): string => `setTimeout(() => { throw new Error('boom') }, ${ms})`

test('a throw in a raw timer ends its data thread only, and the log names the plugin', async () => {
  const bench = await pluginBench({ files: { 'stamp.ts': stampSource('one') } })
  const sockets = Array.from({ length: 16 }, () => {
    const socket = connect(bench.server.listeners[0].port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    return socket.on('error', () => {})
  })
  bench.write(
    'stamp.ts',
    stampSource('two', "if (context.thread === 1) setTimeout(() => { throw new Error('boom') }, 200)"),
  )
  expect(await bench.apply()).toMatchObject({ status: 'applied' })
  await until('the thread has ended', () => bench.server.threads[1].restarts > 0)
  expect(bench.log).toContainEqual(
    expect.objectContaining({
      level: 'error',
      message: 'data thread: filter stamp threw outside of any hook: boom',
      fields: expect.objectContaining({
        code: 'MR_PLUGIN_FAULT',
        kind: 'filter',
        plugin: 'stamp',
        thread: 1,
      }),
    }),
  )
  expect(bench.server.threads[0].restarts).toBe(0)
  expect(sockets.some((socket) => !socket.destroyed)).toBe(true)
})

test.each([
  ['a raw timer', slowFuse(20)],
  ['an unhandled rejection', "setTimeout(() => void Promise.reject(new Error('boom')), 20)"],
])('%s that ends threads again and again bars the version; the one before serves', async (_, code) => {
  const bench = await pluginBench({ files: { 'stamp.ts': stampSource('good') } })
  bench.write('stamp.ts', stampSource('bad', code))
  expect((await bench.apply()).status).toMatch(/applied|refused/)
  await until(
    'the former version serves',
    () => bench.log.some(({ message }) => message.startsWith('a plugin was replaced')),
    { timeoutMs: 30_000 },
  )
  await until('all serve', () => bench.server.threads.every(({ status }) => status === 'serving'))
  expect(await bench.stamps()).toEqual(['good'])
  const restarts = bench.server.threads.map((thread) => thread.restarts)

  const again = await bench.apply()
  expect(again).toMatchObject({
    status: 'refused',
    problems: [{ code: 'MR_PLUGIN_BARRED', plugin: 'stamp' }],
  })
  expect(again.problems[0].message).toContain('boom')
  expect(await bench.stamps()).toEqual(['good'])
  const ready = await bench.admin('/readyz?verbose')
  expect(ready.status).toBe(200)
  expect(ready.body).toMatch(/\[!\]plugins: filter stamp is unhealthy.*its former version \w+ serves/)
  expect((await bench.admin('/metrics')).body).toContain(
    'millrace_plugins_unhealthy{kind="filter",plugin="stamp"} 1',
  )

  bench.write('stamp.ts', stampSource('mended'))
  expect(await bench.apply()).toMatchObject({ status: 'applied' })
  expect(await bench.stamps()).toEqual(['mended'])
  expect(bench.server.threads.map((thread) => thread.restarts)).toEqual(restarts)
  expect((await bench.admin('/readyz?verbose')).body).toContain('[+]plugins')
})

test('with no version before, a filter fails its exchanges, is skipped where it is failOpen, and the rest is served', async () => {
  const bench = await pluginBench({
    files: { 'stamp.ts': stampSource('bad', slowFuse(300)) },
    config: {
      filters: [],
      routes: [
        { service: 'app' },
        { match: { path: '/closed' }, service: 'app', filters: ['stamp'] },
        { match: { path: '/open' }, service: 'app', filters: [{ use: 'stamp', failOpen: true }] },
      ],
    },
  })
  await until(
    'a stand-in serves',
    () => bench.log.some(({ message }) => /a plugin was replaced.*stand-in/.test(message)),
    { timeoutMs: 30_000 },
  )
  await until('all serve', () => bench.server.threads.every(({ status }) => status === 'serving'))
  const restarts = bench.server.threads.map((thread) => thread.restarts)
  expect(await bench.get('/')).toEqual({ status: 200, stamp: undefined })
  expect((await bench.get('/closed')).status).toBe(500)
  expect(await bench.get('/open')).toEqual({ status: 200, stamp: undefined })
  // What has crashed is not loaded by a successor either.
  await bench.server.killThread(0)
  await until('it is back', () => bench.server.threads.every(({ status }) => status === 'serving'))
  expect(bench.server.threads[1].restarts).toBe(restarts[1])
  expect((await bench.admin('/readyz')).status).toBe(200)
})

test('a successor gets the code that is served, also where the file is broken or gone by then', async () => {
  const bench = await pluginBench({
    files: {
      'stamp.ts': `import { label } from './label.ts'\n${stampSource('x').replace("'x'", 'label')}`,
      'label.ts': "export const label: string = 'from the text'",
    },
  })
  bench.write('stamp.ts', 'this is no plugin {')
  rmSync(join(bench.directory, 'label.ts'))
  await expect(bench.apply()).rejects.toMatchObject({ code: 'MR_PLUGIN_LOAD' })
  for (const thread of [0, 1]) await bench.server.killThread(thread)
  await until('they are back', () =>
    bench.server.threads.every(({ status, restarts }) => status === 'serving' && restarts === 1),
  )
  expect(await bench.stamps()).toEqual(['from the text'])
})

test('what ends a thread while the code is tried refuses the config, and the old code serves', async () => {
  const bench = await pluginBench({ files: { 'stamp.ts': stampSource('good') } })
  const early = `await new Promise(() => ${bomb})`
  bench.write('stamp.ts', stampSource('bad', early).replace('create(context)', 'async create(context)'))
  expect((await bench.apply()).status).toBe('refused')
  await until('they serve', () => bench.server.threads.every(({ status }) => status === 'serving'), {
    timeoutMs: 30_000,
  })
  expect(await bench.stamps()).toEqual(['good'])
  expect(await bench.apply()).toMatchObject({ problems: [{ code: 'MR_PLUGIN_BARRED' }] })
})
