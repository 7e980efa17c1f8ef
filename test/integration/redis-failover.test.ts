/** An LB server takes requests while the Redis below it fails over to a replica that lacks what was acknowledged. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../core/config/load.ts'
import { encodeConfig } from '../../core/config/sync/value.ts'
import { type RawClock, systemClock } from '../../core/host/clock.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { followStore } from '../../core/threads/follow-store.ts'
import { startLbServer } from '../../core/threads/lb-server.ts'
import { builtins } from '../../plugins/manifest.ts'
import { apiOf } from '../api/harness.ts'
import { replicated } from '../harness/redis-replication.ts'
import { startSentinels } from '../harness/redis-sentinel.ts'
import { makeStore, note, settle, write, writeId } from '../harness/redis-store.ts'
import { Traffic } from '../harness/traffic.ts'
import { until } from '../harness/until.ts'
import { testLog } from '../threads/fixtures/server.ts'

async function backend(word: string): Promise<string> {
  const server = createServer((_request, response) => void response.end(word))
  // A connection that it ends is not what is tested here.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const routed = (url: string): Uint8Array =>
  encodeConfig({ routes: [{ service: 'app' }], services: { app: { backends: [url] } } })

/** The system's, set forward by the test: nobody waits for 30 s. */
function leapingClock() {
  let aheadMs = 0
  const clock: RawClock = { ...systemClock, now: () => systemClock.now() + aheadMs }
  const leap = (ms: number): void => {
    aheadMs += ms
  }
  return { clock, leap }
}

async function startLb(store: object, clock: RawClock) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-failover-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const registry = await loadPlugins([], builtins)
  const local = {
    fleetKey: 'a secret of the whole fleet',
    node: { id: 'lb-1', threads: 1, data: directory },
    admin: { address: '127.0.0.1:0' },
    drain: { delay: '0s', timeout: '5s' },
    listeners: { web: { address: '127.0.0.1:0' } },
    store,
    sync: { use: 'redis', heartbeat: '200ms', poll: '200ms', reconcile: '500ms' },
  }
  const config = await loadConfig(
    { text: JSON.stringify(local), name: 'lb.json', directory },
    { env: {}, plugins: registry.catalog() },
  )
  const { lines, log } = testLog()
  const server = await startLbServer({
    ...{ config, registry, log },
    builtinsUrl: new URL('../../plugins/manifest.ts', import.meta.url),
  })
  onTestFinished(() => server.close())
  const follower = await followStore({ server, config, registry, log, clock })
  onTestFinished(() => follower.stop())
  const { port } = await until('it listens', () => server.listeners[0])
  const admin = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${server.admin?.port}${path}`)).text()
  return { port, follower, lines, admin }
}

test('the master dies under load, and the promoted replica lacks an acknowledged revision: held with an alarm, followed after 30 s, and no request fails', {
  timeout: 120_000,
}, async () => {
  const redis = await startSentinels()
  const { sentinels, name, master, replicas } = redis
  const [kept, lost, other] = await Promise.all(['kept', 'lost', 'other'].map(backend))
  const options = { sentinels, name, timeout: '1s' }
  const { store } = await makeStore(options)
  const first = await write(store, 'config', routed(kept), null)
  await replicated(master, replicas[0])
  const { clock, leap } = leapingClock()
  const lb = await startLb({ use: 'redis', ...options }, clock)
  const applied = () => lb.follower.state?.applied
  const traffic = Traffic.start(lb.port)
  await until('requests are answered', () => traffic.heard.length > 50)
  expect(new Set(traffic.heard)).toEqual(new Set(['kept']))

  await redis.cutReplicas()
  const second = await write(store, 'config', routed(lost), first)
  await until('it is served, to all clients', () => traffic.heard.slice(-20).every((word) => word === 'lost'))
  expect(applied()?.id).toBe(second.id)
  const beforeDeath = traffic.heard.length
  await master.kill()
  const fork = await until('the fork is seen', () => lb.follower.state?.fork, { timeoutMs: 60_000 })

  // The alarm, wherever somebody may look.
  expect(fork.followsAt).toBe(fork.since + 30_000)
  expect(lb.lines).toContainEqual({
    level: 'error',
    message:
      'config: FORK: the store is at revision 1, and had been at 2: it has lost writes; what is served stays, in 30 s the store is followed',
    fields: expect.objectContaining({ code: 'MR_STORE_FORK' }),
  })
  expect(await lb.admin('/metrics')).toMatch(/^millrace_config_store_fork 1$/m)
  expect(await lb.admin('/readyz?verbose')).toMatch(
    /^\[!\]config: revision 2 .*; FORK: .*; the store is followed at /m,
  )
  const api = await apiOf({ store })
  const shown = async () => (await api.ask('GET', '/v1/nodes/lb-1')).body?.config
  await expect
    .poll(shown, { timeout: 20_000 })
    .toMatchObject({ applied: { number: 2, id: second.id }, fork: { head: { number: 1, id: first.id } } })

  // The number counts again, with other content.
  const id = writeId()
  const again = await settle(() => store.put('config', routed(other), first, id, note))
  expect(again).toMatchObject({ status: 'committed', revision: { number: 2, id } })
  await until('the node has seen it', () => lb.follower.state?.fork?.head?.id === id)
  const sofar = traffic.heard.length
  await until('requests go on', () => traffic.heard.length > sofar + 50)
  expect(applied()?.id).toBe(second.id)
  expect(new Set(traffic.heard.slice(beforeDeath))).toEqual(new Set(['lost']))

  leap(30_000)
  await until('the store is followed', () => applied()?.id === id && !lb.follower.state?.fork)
  await until('it is served', () => traffic.heard.at(-1) === 'other')
  expect(lb.lines).toContainEqual({
    level: 'warn',
    message: expect.stringMatching(/^config: the store is followed over the fork, at revision 2 \(/),
    fields: { code: 'MR_STORE_FORK' },
  })
  expect(await lb.admin('/metrics')).toMatch(/^millrace_config_store_fork 0$/m)
  await expect.poll(shown, { timeout: 20_000 }).toMatchObject({ applied: { id }, fork: null })
  await traffic.stop()
  expect(traffic.failures).toEqual([])
})
