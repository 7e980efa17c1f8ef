/** The lease that says that a node lives, and what is said where two processes have one id. */
import { expect, onTestFinished, test } from 'vitest'
import { NodeLease } from '../../../core/config/sync/node-lease.ts'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime } from '../../conformance/time.ts'
import { testLog } from '../../threads/fixtures/server.ts'

function world() {
  const time = new FakeTime()
  const data = new MemoryStore(time)
  const start = (boot: string) => {
    const { log, lines } = testLog()
    const client = data.client()
    const lease = new NodeLease({ store: client, clock: time.clock(), log, node: { id: 'lb-1', boot } })
    onTestFinished(() => lease.stop())
    lease.start()
    const warnings = () => lines.flatMap(({ level, message }) => (level === 'warn' ? message : []))
    return { client, lease, lines, warnings }
  }
  return { time, data, start }
}

test('two processes with one id: the one that does not get the lease warns, once, and names the other', async () => {
  const { time, start } = world()
  const first = start('x')
  await time.advanceAsync(1000)
  const second = start('y')
  await time.advanceAsync(25_000)
  expect(second.warnings()).toEqual([])
  await time.advanceAsync(300_000)
  expect(second.warnings()).toEqual([
    'another process has the node id lb-1 too: lb-1/x holds the lease node/lb-1; expected one of each id (node.id)',
  ])
  expect(first.lines).toEqual([])
})

test('after the process before it was killed a node takes the lease over, and warns of nobody', async () => {
  const { time, start } = world()
  const first = start('x')
  await time.advanceAsync(1000)
  first.client.cut = true
  const second = start('y')
  await time.advanceAsync(120_000)
  expect((await second.client.leases('node/')).map(({ holder }) => holder)).toEqual(['lb-1/y'])
  expect(second.lines.map(({ message }) => message)).toEqual([
    'node/lb-1 is still held by another process of this id',
  ])
})

test('a store that gives nobody a lease for a while is no other process', async () => {
  const { time, data, start } = world()
  // Of a holder that is not told: as a server that has restarted.
  data.leases.set('node/lb-1', { holder: 'nobody', token: 1, until: 200_000 })
  const { client, warnings } = start('y')
  client.leases = async () => []
  await time.advanceAsync(190_000)
  expect(warnings()).toEqual([])
})

test('nodes that were started together do not renew together', async () => {
  const time = new FakeTime()
  const data = new MemoryStore(time)
  for (const [id, chance] of Object.entries({ a: 0, b: 0.5, c: 0.999 })) {
    const { log } = testLog()
    const node = { id, boot: 'x' }
    const deps = { store: data.client(), clock: time.clock(), random: () => chance, log, node }
    const lease = new NodeLease(deps)
    onTestFinished(() => lease.stop())
    lease.start()
  }
  const untils = (): (number | undefined)[] =>
    ['a', 'b', 'c'].map((id) => data.leases.get(`node/${id}`)?.until)
  await time.advanceAsync(4000)
  expect(untils()).toEqual([3750 + 15_000, 15_000, 15_000])
  await time.advanceAsync(1500)
  expect(untils()).toEqual([3750 + 15_000, 5000 + 15_000, 15_000])
  await time.advanceAsync(1500)
  expect(untils()[2]).toBeGreaterThan(6200 + 15_000)
})
