import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { RouteConfig } from '#core/config/snapshot'
import { PluginMetrics } from '#core/observe/plugin-metrics'
import { ThreadMetrics } from '#core/observe/thread-metrics'
import { Router } from '#core/proxy/router'
import { TrustedProxies } from '#core/proxy/trusted'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const calls = 5000

/** Bytes that one call of `run` allocates: the median of five rounds after a long warm-up. */
function bytesPerCall(run: (i: number) => void): number {
  for (let i = 0; i < 200_000; i++) run(i)
  const rounds: number[] = []
  for (let round = 0; round < 5; round++) {
    gc()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < calls; i++) run(i)
    rounds.push((process.memoryUsage().heapUsed - before) / calls)
  }
  return rounds.sort((a, b) => a - b)[2]
}

test('the measure sees one object a call', () => {
  let kept: object = {}
  expect(bytesPerCall((i) => (kept = { i }))).toBeGreaterThan(12)
  expect(kept).toBeDefined()
})

test('counting a request allocates nothing', () => {
  const metrics = ThreadMetrics.attach(ThreadMetrics.create({ threads: 1, slots: 4, services: 4 }), 0)
  const counter = PluginMetrics.attach(metrics.buffers, 0).of('use', 'plugin').counter('n', 'N.')
  // Whole milliseconds: a fraction is boxed by V8 on its way into a call that it does not inline, whoever is called.
  const bytes = bytesPerCall((i) => {
    metrics.requestDone(1, 200, i & 1023, 0)
    metrics.upstreamTime(1, i & 1023)
    metrics.overhead(1, i & 31)
    metrics.backendDone(2, 0)
    metrics.retry(1)
    metrics.clientBytes(i, i)
    counter.add()
  })
  expect(bytes).toBeLessThan(8)
})

test('a match allocates nothing, whatever the routes', () => {
  const base: RouteConfig = {
    name: 'any',
    host: undefined,
    path: undefined,
    methods: undefined,
    headers: [],
    services: [{ service: 's', weight: 1 }],
    filters: [],
    listener: undefined,
  }
  const router = new Router([
    base,
    { ...base, name: 'api', path: '/api', methods: ['POST', 'PUT'] },
    { ...base, name: 'v1', path: '/api/v1', headers: [{ name: 'x-user', value: undefined }] },
    { ...base, name: 'exact', host: 'shop.example.com', path: '/cart' },
    { ...base, name: 'wild', host: '*.example.com', path: '/images' },
  ])
  const trusted = new TrustedProxies(['10.0.0.0/8'])
  const paths = [
    '/api/v1/users?x=1',
    '/images/logo.png',
    '/cart/items/1',
    '/',
    '/other/long/path/to/something',
  ]
  const hosts = ['shop.example.com', 'cdn.eu.example.com', '127.0.0.1']
  const header = (name: string): string | undefined => (name === 'x-user' ? 'u' : undefined)
  let matched = 0
  const bytes = bytesPerCall((i) => {
    if (router.match('web', hosts[i % 3], paths[i % 5], 'GET', header) !== undefined) matched++
    if (trusted.has('127.0.0.1')) matched++
  })
  expect(matched).toBeGreaterThan(calls)
  expect(bytes).toBeLessThan(8)
})
