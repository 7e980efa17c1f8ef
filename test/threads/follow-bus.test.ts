/** LB servers on real threads that tell one another of changes, by gossip or push, with no server in between. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../core/config/load.ts'
import { encodeConfig } from '../../core/config/sync/value.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { followStore } from '../../core/threads/follow-store.ts'
import { startLbServer } from '../../core/threads/lb-server.ts'
import { builtins } from '../../plugins/manifest.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime, until } from '../conformance/time.ts'
import { fleetKeys, freeNodePort, makeNode, Roster } from '../harness/fleet.ts'
import { testLog } from './fixtures/server.ts'

async function startLb(id: string, store: MemoryStore, sync: object, more: object = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const registry = await loadPlugins([], builtins)
  const address = `127.0.0.1:${await freeNodePort()}`
  const text = JSON.stringify({
    fleetKey: fleetKeys[0],
    node: { id, threads: 1, data: directory, advertise: address },
    listeners: { web: { address: '127.0.0.1:0' } },
    drain: { delay: '0s', timeout: '5s' },
    store: 'memory',
    // Whoever waits for one of these does not pass.
    sync: { ...sync, poll: '5m', reconcile: '1h' },
    ...more,
  })
  const config = await loadConfig(
    { text, name: 'lb.json', directory },
    { env: {}, plugins: registry.catalog() },
  )
  const { log, lines } = testLog()
  const server = await startLbServer({
    ...{ config, registry, log },
    builtinsUrl: new URL('../../plugins/manifest.ts', import.meta.url),
  })
  onTestFinished(() => server.close())
  const follower = await followStore({ server, config, registry, log, store: store.client() })
  onTestFinished(() => follower.stop())
  return { follower, address, server, lines }
}

describe.each([
  ['gossip', { use: 'gossip', probe: '200ms' }, { probe: '200ms' }],
  ['push', { use: 'push', heartbeat: '200ms' }, { heartbeat: '200ms' }],
])('%s', (use, sync, options) => {
  test('LB servers find each other by their records, and all serve what one node announces', async () => {
    const data = new MemoryStore(new FakeTime())
    const writer = data.client()
    const put = (body: object, number: number) => {
      const head = data.documents.get('config')?.history[0].revision ?? null
      return writer.put('config', encodeConfig(body), head, `write-${number}`, { by: 'test' })
    }
    await put({}, 1)
    const lbs = [await startLb('lb-1', data, sync), await startLb('lb-2', data, sync)]
    const record = (id: string) => data.documents.get(`node/${id}`)?.history[0].value
    await until('both are in the records', () => record('lb-1') !== undefined && record('lb-2') !== undefined)
    expect(JSON.parse(Buffer.from(record('lb-2') ?? []).toString())).toMatchObject({
      ...{ id: 'lb-2', role: 'lb', address: lbs[1].address },
      config: { applied: { number: 1 } },
    })
    const roster = new Roster()
    for (const [index, { address }] of lbs.entries())
      roster.add({ id: `lb-${index + 1}`, boot: 'unknown', role: 'lb', address, zone: '' })
    const announcer = await makeNode(use, options, { id: 'announcer', roster })
    await until('every bus is up', () => [...lbs, announcer].every((node) => isUp(node)), 30_000)
    await put({ services: { a: { backends: ['http://127.0.0.1:1'] } } }, 2)
    await announcer.sync.announce?.('config', { number: 2, id: 'write-2' })
    await until('both serve it', () => lbs.every(({ follower }) => follower.state?.applied?.number === 2))
  })
})

const isUp = (node: { states?: readonly string[]; follower?: { state?: { bus: string } } }): boolean =>
  (node.states?.at(-1) ?? node.follower?.state?.bus) === 'up'

test('without a fleetKey a node that others can reach does not start, and says why', async () => {
  const data = new MemoryStore(new FakeTime())
  const more = { fleetKey: undefined, node: { id: 'lb-1', threads: 1, advertise: '192.0.2.1:9902' } }
  await expect(startLb('lb-1', data, { use: 'gossip' }, more)).rejects.toMatchObject({
    code: 'MR_NETWORK',
    message: expect.stringContaining('node.advertise: 192.0.2.1 is not a loopback address'),
  })
})
