/** What the API says of nodes: from their records, and the leases that say who lives. */
import { expect, test } from 'vitest'
import { NodeLease } from '../../core/config/sync/node-lease.ts'
import { NodeRecord } from '../../core/config/sync/node-record.ts'
import { systemClock } from '../../core/host/clock.ts'
import { until } from '../conformance/time.ts'
import { testLog } from '../threads/fixtures/server.ts'
import { apiOf, config } from './harness.ts'

test('each node with what it serves, what it has refused, and whether it lives', async () => {
  const api = await apiOf()
  await api.put(config())
  await api.put(config([]))
  const { log } = testLog()
  const lineage = await api.store.lineage()
  const at = (number: number) => ({ lineage, number, id: `id-${number}` })
  let ids = 0
  const record = (id: string) =>
    new NodeRecord({
      ...{ store: api.store, clock: systemClock, log, node: { id, boot: `boot-${id}` } },
      random: Math.random,
      newId: () => `record-${id}-${++ids}-0123456789`,
    })
  const fine = { schema: 1, applied: at(2), from: 'store', nack: null, fork: null } as const
  const reason = 'MR_PLUGIN_UNKNOWN no filter plugin is called "mine"'
  const nack = { ...at(2), code: 'MR_PLUGIN_UNKNOWN', reason, at: Date.now() } as const
  record('lb-1').set(fine)
  record('lb-2').set({ ...fine, applied: at(1), nack })
  const lease = new NodeLease({
    store: api.store,
    clock: systemClock,
    log,
    node: { id: 'lb-1', boot: 'boot-lb-1' },
  })
  lease.start()
  const nodes = async () => (await api.ask('GET', '/v1/nodes', { who: 'read' })).body.nodes
  await until('both have reported, and one lives', async () => {
    const [first, second] = await nodes()
    return first?.live && second !== undefined
  })
  expect(await nodes()).toMatchObject([
    { id: 'lb-1', boot: 'boot-lb-1', live: true, behind: 0, config: { applied: { number: 2 }, nack: null } },
    { id: 'lb-2', live: false, behind: 1, config: { applied: { number: 1 }, nack: { number: 2, reason } } },
  ])
  const [{ reportedAt }] = await nodes()
  expect(Math.abs(Date.parse(reportedAt) - Date.now())).toBeLessThan(60_000)
  expect((await api.ask('GET', '/v1/nodes/lb-2')).body).toMatchObject({ id: 'lb-2', live: false })
  expect(await api.ask('GET', '/v1/nodes/lb-9')).toMatchObject({
    status: 404,
    body: { code: 'MR_NOT_FOUND', path: 'path.node' },
  })
  expect(await api.ask('GET', '/v1/nodes/..%2fconfig')).toMatchObject({
    status: 400,
    body: { path: 'path.node' },
  })
  await lease.stop()
  expect((await api.ask('GET', '/v1/nodes/lb-1')).body).toMatchObject({ live: false })
})
