/**
 * Fault schedules of the config sync on real stores. Five are part of the tests; thirty:
 * `SCHEDULES=30 npx vitest run test/fuzz/real-schedules.test.ts`.
 */
import { afterAll, expect, test } from 'vitest'
import { startRedis } from '../harness/redis.ts'
import { startZookeeper } from '../harness/zookeeper.ts'
import type { Backing } from './real-fleet.ts'
import { type RealResult, runRealSchedule } from './real-schedule.ts'
import { sentinelBacking } from './real-sentinels.ts'

const count = Number(process.env.SCHEDULES ?? 5)
const first = Number(process.env.FIRST_SEED ?? 1)
/** The promise is 2 s; tests share their two cores with others, so the few that are part of them only have to arrive. */
const healMs = process.env.SCHEDULES === undefined ? 15_000 : 2000

const backings: readonly (() => Promise<Backing>)[] = [
  async () => {
    const server = await startRedis({ aof: true })
    const options = (port: number) => ({ url: `redis://127.0.0.1:${port}`, timeout: '500ms' })
    return {
      ...{ store: 'redis', sync: 'redis', server, storeOptions: options },
      syncOptions: (port) => ({ ...options(port), heartbeat: '200ms' }),
    }
  },
  async () => ({
    ...{ store: 'sqlite', sync: 'native', server: undefined },
    storeOptions: () => ({ path: 'store.db' }),
    syncOptions: () => ({}),
  }),
  async () => {
    const server = await startZookeeper()
    return {
      ...{ store: 'zookeeper', sync: 'native', server, syncOptions: () => ({}) },
      storeOptions: (port) => ({ url: `zookeeper://127.0.0.1:${port}/schedule`, timeout: '1s' }),
    }
  },
  sentinelBacking,
]

const results: RealResult[] = []
afterAll(() => {
  const sum = (of: (result: RealResult) => number): number =>
    results.reduce((total, one) => total + of(one), 0)
  const slowest = Math.round(Math.max(...results.map(({ convergedMs }) => convergedMs)))
  console.log(
    `${results.length} schedules on real stores; ${sum((one) => one.writes)} writes, ${sum((one) => one.acknowledged)} acknowledged, ` +
      `${sum((one) => one.restarts)} restarts of nodes, ${sum((one) => one.serverFaults)} faults of servers; ${sum((one) => one.lost)} lost by failovers, ` +
      `${sum((one) => one.forks)} alarms of forks; slowest to converge: ${slowest} ms`,
  )
})

test.each(
  Array.from({ length: count }, (_, index) => first + index),
)('schedule %d: nothing goes back, nothing acknowledged is lost without an alarm, all converge', {
  timeout: 120_000,
}, async (seed) => {
  const backing = await backings[seed % backings.length]()
  const result = await runRealSchedule(backing, seed)
  results.push(result)
  expect(result.convergedMs).toBeLessThanOrEqual(healMs + (backing.forkHoldMs ?? 0))
})
