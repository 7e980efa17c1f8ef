import { expect, test } from 'vitest'
import { systemClock } from '../../core/host/clock.ts'
import { until } from '../harness/until.ts'
import { pluginBench, stampSource } from './fixtures/plugin-bench.ts'

const throwing = stampSource('one', '', "onRequest() { throw new Error('boom') },")
const routes = [{ service: 'app' }, { match: { path: '/with' }, service: 'app', filters: ['stamp'] }]

/** What `/readyz?verbose` says of plugins. */
async function told(bench: Awaited<ReturnType<typeof pluginBench>>): Promise<string> {
  const { body, status } = await bench.admin('/readyz?verbose')
  expect(status).toBe(200)
  return body.split('\n').find((line) => line.includes(']plugins')) ?? ''
}

test('a plugin with ten faults a minute is unhealthy, not the process, and it recovers with time', async () => {
  let later = 0
  const clock = { ...systemClock, now: () => systemClock.now() + later }
  const bench = await pluginBench({
    files: { 'stamp.ts': throwing },
    config: { filters: [], routes },
    server: { clock },
  })
  for (let i = 0; i < 9; i++) expect((await bench.get('/with')).status).toBe(500)
  await until(
    'nine faults are counted',
    () => bench.log.filter(({ message }) => message === 'filter stamp failed in onRequest').length === 9,
  )
  expect(await told(bench)).toBe('[+]plugins: healthy')
  expect((await bench.get('/with')).status).toBe(500)
  let line = ''
  while (!line.startsWith('[!]')) line = await told(bench)
  expect(line).toBe(
    '[!]plugins: filter stamp is unhealthy: 10 faults within a minute, last onRequest: Error: boom',
  )
  const metrics = (await bench.admin('/metrics')).body
  expect(metrics).toContain('millrace_plugins_unhealthy{kind="filter",plugin="stamp"} 1')
  expect(metrics).toContain('millrace_plugins_recent_faults{kind="filter",plugin="stamp"} 10')
  expect(metrics).toMatch(/^millrace_plugins_faulted_total 10$/m)
  expect((await bench.get('/')).status).toBe(200)
  expect(bench.server.threads.map(({ restarts }) => restarts)).toEqual([0, 0])
  later = 62_000
  expect(await told(bench)).toBe('[+]plugins: healthy')
  expect((await bench.admin('/metrics')).body).toContain(
    'millrace_plugins_unhealthy{kind="filter",plugin="stamp"} 0',
  )
})

test('a body transform that throws is the fault of its filter', async () => {
  const hook =
    "onRequest(exchange) { exchange.request.transformBody({ transform() { throw new Error('torn') } }) },"
  const bench = await pluginBench({ files: { 'stamp.ts': stampSource('one', '', hook) } })
  const url = `http://127.0.0.1:${bench.server.listeners[0].port}/`
  const answer = await fetch(url, { method: 'POST', body: 'text' })
  expect(answer.status).toBe(500)
  await until('it was logged', () =>
    bench.log.some(({ fields }) => fields.plugin === 'stamp' && String(fields.cause).includes('torn')),
  )
})

test('a hook that outlives its deadline fails its exchange, and counts as a fault of its filter', async () => {
  const never = 'onRequest: () => new Promise(() => {}),'
  const bench = await pluginBench({
    files: { 'stamp.ts': stampSource('one', '', never) },
    config: { filters: [{ use: 'stamp', deadline: '50ms' }] },
  })
  expect((await bench.get()).status).toBe(500)
  const line = await until('it was logged', () =>
    bench.log.find(({ fields }) => fields.code === 'MR_PLUGIN_TIMEOUT'),
  )
  expect(line.message).toBe('filter stamp failed in onRequest: it missed its deadline of 50 ms')
  expect(line.fields).toMatchObject({
    plugin: 'stamp',
    hook: 'onRequest',
    cause: 'missed its deadline of 50 ms',
  })
})
