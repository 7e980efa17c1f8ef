/** Bodies, connections and backends that differ from the usual 64 bytes over 64 kept connections to one instant backend. */
import type { Shape } from './report/bench-results.ts'
import type { PlannedScenario, Suite } from './suites.ts'

const usual = { connections: 64, load: 'closed', ratePerSecond: undefined, backendDelayMs: 0 } as const

const closed = (name: string, title: string, path: string, shape: Shape): PlannedScenario => ({
  ...usual,
  ...{ name: `closed-${name}`, title, path, shape },
})

const small = { ...usual, path: '/64' } as const

const bodies: readonly PlannedScenario[] = [
  closed('0b', 'Empty body, 64 connections at work', '/0', { bodyBytes: 0 }),
  closed('1k', '1 KiB body, 64 connections at work', '/1k', { bodyBytes: 1024 }),
]

/** The median of the fixed one; one answer in a hundred takes 3.2 times as long. */
const logNormal: PlannedScenario = {
  name: 'open-5ms-spread',
  title: 'Backend of 5 ms in the median, log-normal, 1,000 requests start each second',
  ...{ path: '/64', connections: 256, load: 'open', ratePerSecond: 1000, backendDelayMs: 5 },
  shape: { delaySigma: 0.5 },
}

const connections: readonly PlannedScenario[] = [
  closed('64b-close', '64-byte body, a new connection for each request', '/64', { keepAlive: false }),
  closed('64b-backends', '64-byte body, 10 backends', '/64', { backends: 10 }),
  closed('64b-tls', '64-byte body, TLS', '/64', { tls: true }),
]

/** What the suite `full` has beyond the sizes and rates of its own. */
export const furtherShapes: readonly PlannedScenario[] = [
  ...bodies,
  ...connections,
  closed('64k-tls', '64 KiB body, TLS', '/64k', { bodyBytes: 64 * 1024, tls: true }),
  logNormal,
]

export const shapesSuite: Suite = {
  name: 'shapes',
  title: 'Bodies, connections, backends and TLS',
  arms: ['direct', 'nginx', 'haproxy', 'millrace'],
  // As few as an interval of 99 % can be drawn from, and as short as it goes: a developer waits for it.
  ...{
    rounds: 8,
    seconds: 1,
    firstWarmupSeconds: 2,
    warmupSeconds: 1,
    openSeconds: 1,
    openWarmupSeconds: 0.5,
    restartEvery: 8,
  },
  scenarios: [
    ...bodies,
    closed('64k', '64 KiB body, 64 connections at work', '/64k', { bodyBytes: 64 * 1024 }),
    closed('1m', '1 MiB body, 64 connections at work', '/1m', { bodyBytes: 2 ** 20 }),
    { ...small, name: 'closed-64b-1', title: '64-byte body, 1 connection', connections: 1 },
    { ...small, name: 'closed-64b-256', title: '64-byte body, 256 connections at work', connections: 256 },
    ...connections,
    logNormal,
  ],
}
