/** What the API says of nodes: from their records, and the leases that say who lives. */
import { expect, test } from 'vitest'
import { NodeLease } from '../../core/config/sync/node-lease.ts'
import { NodeRecord } from '../../core/config/sync/node-record.ts'
import { systemClock } from '../../core/host/clock.ts'
import { until } from '../conformance/time.ts'
import { testLog } from '../threads/fixtures/server.ts'
import { Ear } from './ear.ts'
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

test('a node that is gone for good is removed by an operator; one that lives is not, and one that comes back is there again', async () => {
  const api = await apiOf()
  await api.put(config())
  const { log } = testLog()
  const fine = { schema: 1, applied: null, from: null, nack: null, fork: null } as const
  let ids = 0
  const report = (boot: string) =>
    new NodeRecord({
      ...{ store: api.store, clock: systemClock, log, node: { id: 'lb-1', boot }, random: Math.random },
      newId: () => `record-${++ids}-0123456789abcdef`,
    }).set(fine)
  const names = async (): Promise<string[]> =>
    (await api.ask('GET', '/v1/nodes')).body.nodes.map(({ id }: { id: string }) => id)
  report('first')
  const lease = new NodeLease({
    store: api.store,
    clock: systemClock,
    log,
    node: { id: 'lb-1', boot: 'first' },
  })
  lease.start()
  await until('it lives', async () => (await api.ask('GET', '/v1/nodes/lb-1')).body.live)
  const remove = (who: 'read' | 'operate' = 'operate') => api.ask('DELETE', '/v1/nodes/lb-1', { who })
  expect(await remove()).toMatchObject({ status: 409, body: { code: 'MR_CONFLICT', path: 'path.node' } })
  expect(await names()).toEqual(['lb-1'])
  await lease.stop()
  const ear = await new Ear().open(api)
  expect(await remove('read')).toMatchObject({ status: 403 })
  expect(await remove()).toMatchObject({
    status: 200,
    body: { document: 'node/lb-1', before: 1, revision: 2, changed: true },
  })
  expect(await names()).toEqual([])
  expect(await api.ask('GET', '/v1/nodes/lb-1')).toMatchObject({ status: 404 })
  expect(await remove()).toMatchObject({ status: 404, body: { code: 'MR_NOT_FOUND', path: 'path.node' } })
  await until('it is told', () => ear.events.length === 1)
  expect(ear.events[0]).toMatchObject({ event: 'node', data: { node: 'lb-1', removed: true } })
  expect(api.audit().at(-1)).toMatchObject({ actor: 'operate', document: 'node/lb-1', before: 1, after: 2 })
  report('second')
  await until('it is there again', async () => (await names()).length === 1)
})
