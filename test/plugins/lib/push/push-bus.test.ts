/** Whom a call has reached is what counts, not that somebody has answered. */
import { expect, test } from 'vitest'
import { PushBus } from '../../../../plugins/lib/push/push-bus.ts'
import { Hub } from '../../../conformance/hub.ts'
import { FakeTime } from '../../../conformance/time.ts'
import { busNode, nodeOf } from '../bus-world.ts'

const heartbeatMs = 5000
const revision = { number: 7, id: 'w-7' }

test('two machines whose nodes advertise one loopback address: neither bus comes up, and announcements fail', async () => {
  const time = new FakeTime()
  const [a, b] = [nodeOf('a', '127.0.0.1:9903'), nodeOf('b', '127.0.0.1:9903')]
  // On each machine that address is its own node's.
  const [at, other] = [
    busNode(time, a, new Hub(time).network(a), [b]),
    busNode(time, b, new Hub(time).network(b), [a]),
  ]
  const [bus] = [new PushBus(at.context, heartbeatMs), new PushBus(other.context, heartbeatMs)]
  await time.advanceAsync(60_000)
  expect([at.bus, other.bus]).toEqual(['down', 'down'])
  const announced = bus.announce('config', revision).catch((error: Error) => error.message)
  await time.advanceAsync(5000)
  expect(await announced).toContain('1 of 1 nodes not reached yet: b')
  expect(other.hints).toEqual([])
})

test('a record that names the address of another is not reached by that one’s answers', async () => {
  const time = new FakeTime()
  const hub = new Hub(time)
  const [a, b, wrong] = [nodeOf('a'), nodeOf('b'), nodeOf('c', 'b:9903')]
  const [at, other] = [
    busNode(time, a, hub.network(a), [b, wrong]),
    busNode(time, b, hub.network(b), [a, wrong]),
  ]
  const [bus] = [new PushBus(at.context, heartbeatMs), new PushBus(other.context, heartbeatMs)]
  await time.advanceAsync(60_000)
  // Each can be called by the other.
  expect([at.bus, other.bus]).toEqual(['up', 'up'])
  const announced = bus.announce('config', revision).catch((error: Error) => error.message)
  await time.advanceAsync(5000)
  expect(await announced).toContain('1 of 2 nodes not reached yet: c')
  // Right from the next record on.
  const right = nodeOf('c')
  const third = busNode(time, right, hub.network(right), [a, b])
  new PushBus(third.context, heartbeatMs)
  at.setMembers(b, right)
  await time.advanceAsync(5000)
  expect([...other.hints, ...third.hints]).toContain('config 7')
  expect(third.hints).toEqual(['config 7'])
})

test('a fleet of two that shrinks to one is up again when the record of the other is left out', async () => {
  const time = new FakeTime()
  const hub = new Hub(time)
  const [a, b] = [nodeOf('a'), nodeOf('b')]
  const [at, other] = [busNode(time, a, hub.network(a), [b]), busNode(time, b, hub.network(b), [a])]
  const [bus] = [new PushBus(at.context, heartbeatMs), new PushBus(other.context, heartbeatMs)]
  await time.advanceAsync(20_000)
  expect([at.bus, other.bus]).toEqual(['up', 'up'])
  await other.stop()
  hub.cut(b.address)
  await time.advanceAsync(60_000)
  expect(at.bus).toBe('down')
  at.setMembers()
  await time.advanceAsync(10_000)
  expect(at.bus).toBe('up')
  const announced = bus.announce('config', revision).then(() => 'made')
  await time.advanceAsync(1000)
  expect(await announced).toBe('made')
})
