import { describe, expect, test } from 'vitest'
import { PluginMetrics } from '#core/observe/plugin-metrics'
import { describeMetrics, MetricsExport } from '#core/observe/registry'
import { errorIndex, outcomeIndex } from '#core/observe/thread-metrics'
import { health } from '#core/threads/table'
import { type Measured, measured } from './sources.ts'

/** Samples by their line without the value: `name{labels}` → value. */
async function scrape(source: Measured | MetricsExport): Promise<Map<string, number>> {
  const text = await (source instanceof MetricsExport ? source : new MetricsExport(source)).text()
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const space = line.lastIndexOf(' ')
    expect(samples.has(line.slice(0, space)), line).toBe(false)
    samples.set(line.slice(0, space), Number(line.slice(space + 1)))
  }
  return samples
}

describe('what threads counted', () => {
  test('is summed and labelled by service, status class and outcome', async () => {
    const source = measured()
    const [first, second] = source.threads
    first.requestDone(1, 200, 1, outcomeIndex.ok)
    second.requestDone(1, 204, 1, outcomeIndex.ok)
    second.requestDone(1, 504, 1, outcomeIndex.error)
    second.requestDone(-1, 404, 1, outcomeIndex.error)
    first.retry(1)
    second.retry(1)
    first.rejected(errorIndex.MR_NO_ROUTE)
    first.clientBytes(10, 20)
    second.clientBytes(1, 2)
    first.clientAccepted()
    first.tunnel(1)
    first.pluginFault()
    first.stall(1250)
    const samples = await scrape(source)
    expect(Object.fromEntries(samples)).toMatchObject({
      'millrace_requests_total{service="api",status="2xx",outcome="ok"}': 2,
      'millrace_requests_total{service="api",status="5xx",outcome="error"}': 1,
      'millrace_requests_total{service="",status="4xx",outcome="error"}': 1,
      'millrace_requests_total{service="shop",status="2xx",outcome="ok"}': 0,
      'millrace_retries_total{service="api"}': 2,
      'millrace_retries_total{service="shop"}': 0,
      'millrace_errors_total{code="MR_NO_ROUTE"}': 1,
      'millrace_client_bytes_total{direction="in"}': 11,
      'millrace_client_bytes_total{direction="out"}': 22,
      millrace_client_connections_total: 1,
      millrace_tunnels: 1,
      millrace_plugins_faulted_total: 1,
      'millrace_event_loop_stalls_total{thread="0"}': 1,
      'millrace_event_loop_stall_seconds_total{thread="0"}': 1.25,
      'millrace_event_loop_stall_seconds_total{thread="main"}': 1.5,
    })
    expect(samples.has('millrace_errors_total{code="MR_CONNECT"}')).toBe(false)
  })

  test('durations are histograms in seconds, each with its own buckets', async () => {
    const source = measured()
    const [first, second] = source.threads
    first.requestDone(1, 200, 4, outcomeIndex.ok)
    second.requestDone(1, 200, 40, outcomeIndex.ok)
    first.upstreamTime(1, 3)
    first.overhead(1, 0.03)
    second.overhead(1, 0.07)
    expect(Object.fromEntries(await scrape(source))).toMatchObject({
      'millrace_request_duration_seconds_bucket{service="api",le="0.0025"}': 0,
      'millrace_request_duration_seconds_bucket{service="api",le="0.005"}': 1,
      'millrace_request_duration_seconds_bucket{service="api",le="0.05"}': 2,
      'millrace_request_duration_seconds_bucket{service="api",le="+Inf"}': 2,
      'millrace_request_duration_seconds_count{service="api"}': 2,
      'millrace_request_duration_seconds_sum{service="api"}': 0.044,
      'millrace_request_duration_seconds_count{service="shop"}': 0,
      'millrace_upstream_duration_seconds_bucket{service="api",le="0.005"}': 1,
      'millrace_overhead_seconds_bucket{service="api",le="0.000025"}': 0,
      'millrace_overhead_seconds_bucket{service="api",le="0.00005"}': 1,
      'millrace_overhead_seconds_bucket{service="api",le="0.0001"}': 2,
      'millrace_overhead_seconds_sum{service="api"}': 0.0001,
    })
  })

  test('a second scrape reads anew and adds nothing twice', async () => {
    const source = measured()
    const metrics = new MetricsExport(source)
    const name = 'millrace_requests_total{service="api",status="2xx",outcome="ok"}'
    source.threads[0].requestDone(1, 200, 1, outcomeIndex.ok)
    expect((await scrape(metrics)).get(name)).toBe(1)
    expect((await scrape(metrics)).get(name)).toBe(1)
    source.threads[1].requestDone(1, 200, 1, outcomeIndex.ok)
    expect((await scrape(metrics)).get(name)).toBe(2)
  })

  test('a service or backend that takes over an index starts from zero; a dead thread holds no tunnels', async () => {
    const source = measured()
    source.threads[1].requestDone(1, 200, 1, outcomeIndex.ok)
    source.threads[1].backendDone(3, 0)
    source.threads[1].backendDone(4, 0)
    source.threads[1].tunnel(1)
    source.reader.clearService(1)
    source.reader.clearBackend(3)
    source.reader.clearThread(1)
    const samples = await scrape(source)
    expect(samples.get('millrace_request_duration_seconds_count{service="api"}')).toBe(0)
    const attempts = (url: string) =>
      samples.get(`millrace_backend_attempts_total{service="api",backend="${url}",outcome="success"}`)
    expect(attempts('http://127.0.0.1:9001')).toBe(0)
    expect(attempts('http://127.0.0.1:9002')).toBe(1)
    expect(samples.get('millrace_tunnels')).toBe(0)
  })
})

test('the shared table is shown per service and backend', async () => {
  const source = measured()
  const { table } = source
  table.active[0][1] = 3
  table.active[1][1] = 4
  table.queued[1][1] = 2
  table.retrying[0][1] = 1
  table.inFlight[0][3] = 5
  table.open[1][3] = 6
  table.idle[1][3] = 1
  table.clients[0] = 8
  table.clients[1] = 9
  table.health[4] = health.down
  table.breaker[4] = 2
  table.drained[3] = 1
  source.threads[0].connectionOpened(3)
  source.threads[0].connectError(4)
  source.threads[0].backendDone(3, 2)
  const [one, two] = ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'].map(
    (url) => `service="api",backend="${url}"`,
  )
  expect(Object.fromEntries(await scrape(source))).toMatchObject({
    'millrace_requests_in_flight{service="api"}': 7,
    'millrace_pool_queued{service="api"}': 2,
    'millrace_retries_in_flight{service="api"}': 1,
    [`millrace_backend_in_flight{${one}}`]: 5,
    [`millrace_pool_open{${one}}`]: 6,
    [`millrace_pool_idle{${one}}`]: 1,
    [`millrace_pool_opened_total{${one}}`]: 1,
    [`millrace_pool_connect_errors_total{${two}}`]: 1,
    [`millrace_backend_attempts_total{${one},outcome="cancelled"}`]: 1,
    [`millrace_backend_health{${one}}`]: 0,
    [`millrace_backend_health{${two}}`]: 2,
    [`millrace_breaker_state{${two}}`]: 2,
    [`millrace_backend_drained{${one}}`]: 1,
    millrace_client_connections: 17,
  })
})

test('config and threads', async () => {
  const source = measured()
  expect(Object.fromEntries(await scrape(source))).toMatchObject({
    millrace_config_revision: 7,
    millrace_config_last_reload_successful: 0,
    millrace_config_last_reload_timestamp_seconds: 1_700_000_000.5,
    millrace_draining: 0,
    'millrace_thread_up{thread="1"}': 0,
    'millrace_thread_restarts_total{thread="1"}': 2,
    [`millrace_build_info{version="1.2.3",node="${process.versions.node}"}`]: 1,
  })
  source.state = { ...source.state, lastReload: { ok: true, at: 0 } }
  expect((await scrape(source)).get('millrace_config_last_reload_successful')).toBe(1)
})

test('every family is described, once, with its type, and counters end in _total', async () => {
  const described = describeMetrics()
  const text = await new MetricsExport(measured()).text()
  expect(new Set(described.map(({ name }) => name)).size).toBe(described.length)
  for (const { name, type, help } of described) {
    expect(text).toContain(`# TYPE ${name} ${type}\n`)
    expect(text).toContain(`# HELP ${name} ${help.replaceAll('\\', '\\\\')}\n`)
    expect(name.endsWith('_total')).toBe(type === 'counter')
  }
})

describe('metrics of plugins', () => {
  test('are summed over threads and labelled by plugin and use', async () => {
    const source = measured()
    for (const thread of [0, 1, 2]) {
      const metrics = PluginMetrics.attach(source.buffers, thread).of(
        'service/api/filters/limit',
        'rate-limit',
      )
      metrics.counter('refused', 'Requests refused.').add(thread + 1)
      metrics.counter('refused', 'Requests refused.').add()
      metrics.gauge('keys', 'Keys held.').set(thread)
    }
    PluginMetrics.attach(source.buffers, 0).of('filters/limit', 'rate-limit').counter('refused', '').add(0.5)
    const exported = new MetricsExport(source)
    const api = 'plugin="rate-limit",use="service/api/filters/limit"'
    const samples = await scrape(exported)
    expect(samples.get(`millrace_plugin_refused{${api}}`)).toBe(9)
    expect(samples.get('millrace_plugin_refused{plugin="rate-limit",use="filters/limit"}')).toBe(0.5)
    expect(samples.get(`millrace_plugin_keys{${api}}`)).toBe(3)
    const text = await exported.text()
    expect(text).toContain('# TYPE millrace_plugin_refused counter')
    expect(text).toContain('# HELP millrace_plugin_refused Requests refused.')
    expect(text).toContain('# TYPE millrace_plugin_keys gauge')
  })

  test('appear when they are made, even after the first scrape', async () => {
    const source = measured()
    const exported = new MetricsExport(source)
    await scrape(exported)
    PluginMetrics.attach(source.buffers, 1).of('u', 'p').counter('late', 'Late.').add()
    expect((await scrape(exported)).get('millrace_plugin_late{plugin="p",use="u"}')).toBe(1)
  })

  test('a name that is a counter here and a gauge there is a gauge', async () => {
    const source = measured()
    const exported = new MetricsExport(source)
    PluginMetrics.attach(source.buffers, 0).of('a', 'p').counter('both', 'Both.').add(2)
    await scrape(exported)
    PluginMetrics.attach(source.buffers, 0).of('b', 'q').gauge('both', 'Both.').set(-3)
    const samples = await scrape(exported)
    expect(samples.get('millrace_plugin_both{plugin="p",use="a"}')).toBe(2)
    expect(samples.get('millrace_plugin_both{plugin="q",use="b"}')).toBe(-3)
  })

  test('survive the thread: its successor counts on', () => {
    const source = measured()
    PluginMetrics.attach(source.buffers, 0).of('u', 'p').counter('n', 'N.').add(2)
    PluginMetrics.attach(source.buffers, 0).of('u', 'p').counter('n', 'N.').add(3)
    expect(source.plugins.samples()).toEqual([
      { name: 'n', kind: 'counter', plugin: 'p', use: 'u', help: 'N.', value: 5 },
    ])
  })

  test('a counter never goes down', () => {
    const source = measured()
    const counter = PluginMetrics.attach(source.buffers, 0).of('u', 'p').counter('n', 'N.')
    counter.add(2)
    counter.add(-1)
    counter.add(Number.NaN)
    expect(source.plugins.samples()[0].value).toBe(2)
  })

  test('of a use that was given up are gone, and their room is used again, by a successor too', () => {
    const source = measured()
    const make = (from: number, to: number, row = PluginMetrics.attach(source.buffers, 0)) => {
      for (let i = from; i < to; i++) row.of(`u${i}`, 'p').counter('n', 'x'.repeat(100)).add(i)
      return row
    }
    const uses = () => source.plugins.samples().map(({ use, value }) => `${use} ${value}`)
    const first = make(0, 4096)
    expect(() => make(4096, 4097, first)).toThrow(expect.objectContaining({ code: 'MR_SHARED_FULL' }))
    source.plugins.release((_plugin, use) => use !== 'u7')
    expect(uses()).toEqual(['u7 7'])
    make(5000, 5002, first)
    expect(uses()).toEqual(['u7 7', 'u5000 5000', 'u5001 5001'])
    // The successor finds what is there, and room for all else.
    const successor = make(7, 8)
    make(6000, 6000 + 4093, successor)
    expect(uses()).toHaveLength(4096)
    expect(uses().slice(0, 4)).toEqual(['u7 14', 'u5000 5000', 'u5001 5001', 'u6000 6000'])
  })

  test('of a use that comes back begin anew', () => {
    const source = measured()
    const row = PluginMetrics.attach(source.buffers, 0)
    row.of('u', 'p').counter('n', 'N.').add(5)
    source.plugins.release(() => true)
    expect(source.plugins.samples()).toEqual([])
    row.of('u', 'p').gauge('n', 'N.').set(1)
    expect(source.plugins.samples()).toMatchObject([{ kind: 'gauge', value: 1 }])
  })

  test('wrong names, changed kinds and too many are refused by code', () => {
    const source = measured()
    const metrics = PluginMetrics.attach(source.buffers, 0).of('u', 'p')
    for (const name of ['', 'Upper', '1st', 'with-dash', 'with space', 'ü']) {
      expect(() => metrics.counter(name, '')).toThrow(
        expect.objectContaining({ code: 'MR_PLUGIN_CREATE', plugin: 'p' }),
      )
    }
    metrics.counter('taken', '')
    expect(() => metrics.gauge('taken', '')).toThrow(expect.objectContaining({ code: 'MR_PLUGIN_CREATE' }))
    const fill = () => {
      for (let i = 0; i < 10_000; i++) metrics.counter(`metric_${i}`, 'x'.repeat(100))
    }
    expect(fill).toThrow(expect.objectContaining({ code: 'MR_SHARED_FULL', plugin: 'p' }))
    // What was there before still counts.
    metrics.counter('taken', '').add()
    expect(source.plugins.samples().find(({ name }) => name === 'taken')?.value).toBe(1)
  })
})
