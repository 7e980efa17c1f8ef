/** When the bus of gossip is up: while everybody who has a record is heard, or has said goodbye. */
import type { FleetNode } from 'millrace'
import { expect, test } from 'vitest'
import { GossipBus } from '../../../../plugins/lib/swim/gossip-bus.ts'
import { Hub } from '../../../conformance/hub.ts'
import { FakeTime } from '../../../conformance/time.ts'
import { type BusNode, busNode, nodeOf } from '../bus-world.ts'

const minute = 60_000
const options = { seeds: [], probeMs: 1000 }
const revision = { number: 7, id: 'w-7' }

interface Running extends BusNode {
  readonly self: FleetNode
  readonly gossip: GossipBus
}

/** All have records. */
function fleetOf(time: FakeTime, hub: Hub, ...ids: string[]): Running[] {
  const all = ids.map((id) => nodeOf(id))
  return all.map((self) => {
    const node = busNode(...([time, self, hub.network(self), all.filter((other) => other !== self)] as const))
    return Object.assign(node, { self, gossip: new GossipBus(node.context, options) })
  })
}

/** What became of an announcement. */
async function announced(time: FakeTime, { gossip }: Running): Promise<string> {
  const outcome = gossip.announce('config', revision).then(
    () => 'made',
    (error: Error) => error.message,
  )
  await time.advanceAsync(5000)
  return outcome
}

test('a fleet of two that shrinks to one by an orderly stop has its bus up all the time, also when the other is forgotten', async () => {
  const time = new FakeTime()
  const hub = new Hub(time)
  const [a, b] = fleetOf(time, hub, 'a', 'b')
  await time.advanceAsync(minute)
  expect([a.bus, b.bus]).toEqual(['up', 'up'])
  await b.stop()
  await time.advanceAsync(100)
  hub.cut(b.self.address)
  for (let passed = 0; passed < 12; passed++) {
    await time.advanceAsync(minute)
    expect(a.bus, `minute ${passed}`).toBe('up')
  }
  a.setMembers()
  await time.advanceAsync(minute)
  expect([a.bus, await announced(time, a)]).toEqual(['up', 'made'])
})

test('a node that was started when the other was gone already is up when that one’s record is left out', async () => {
  const time = new FakeTime()
  const self = nodeOf('a')
  const a = busNode(time, self, new Hub(time).network(self), [nodeOf('b')])
  const gossip = new GossipBus(a.context, options)
  await time.advanceAsync(12 * minute)
  const alone = Object.assign(a, { self, gossip })
  expect([a.bus, await announced(time, alone)]).toEqual(['down', expect.stringContaining('not passed on')])
  a.setMembers()
  await time.advanceAsync(1000)
  expect([a.bus, await announced(time, alone)]).toEqual(['up', 'made'])
})

test('a partition is down on either side for as long as it lasts, and while a record of one that died is left', async () => {
  const time = new FakeTime()
  const hub = new Hub(time)
  const nodes = fleetOf(time, hub, 'a', 'b', 'c')
  const [a, b, c] = nodes
  await time.advanceAsync(minute)
  expect(nodes.map(({ bus }) => bus)).toEqual(['up', 'up', 'up'])
  hub.cut(c.self.address)
  await time.advanceAsync(minute)
  for (let passed = 0; passed < 30; passed++) {
    expect(nodes.map(({ bus }) => bus)).toEqual(['down', 'down', 'down'])
    await time.advanceAsync(minute)
  }
  hub.heal(c.self.address)
  await time.advanceAsync(minute)
  expect(nodes.map(({ bus }) => bus)).toEqual(['up', 'up', 'up'])
  // c dies: it is missed until its record is left out.
  hub.cut(c.self.address)
  await time.advanceAsync(15 * minute)
  expect([a.bus, b.bus]).toEqual(['down', 'down'])
  a.setMembers(b.self)
  b.setMembers(a.self)
  await time.advanceAsync(1000)
  expect([a.bus, b.bus]).toEqual(['up', 'up'])
})

test('two machines whose nodes advertise one loopback address: neither bus comes up, and announcements fail', async () => {
  const time = new FakeTime()
  const [a, b] = [nodeOf('a', '127.0.0.1:9903'), nodeOf('b', '127.0.0.1:9903')]
  // On each machine that address is its own node's.
  const nodes = [
    [a, b],
    [b, a],
  ].map(([self, other]) => {
    const node = busNode(time, self, new Hub(time).network(self), [other])
    return Object.assign(node, { self, gossip: new GossipBus(node.context, options) })
  })
  await time.advanceAsync(15 * minute)
  expect(nodes.map(({ bus }) => bus)).toEqual(['down', 'down'])
  expect(await announced(time, nodes[0])).toContain('no other node has answered')
})
