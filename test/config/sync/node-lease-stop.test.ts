/** The lease that says that a node lives, in fake time: it is given back by an orderly end, whatever is under way. */
import { expect, test } from 'vitest'
import { NodeLease } from '#core/config/sync/node-lease'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime, settled } from '../../conformance/time.ts'

function world() {
  const time = new FakeTime()
  const data = new MemoryStore(time)
  const store = data.client()
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const lease = new NodeLease({ store, clock: time.clock(), log, node: { id: 'lb-1', boot: 'b' } })
  const held = () => data.leases.has('node/lb-1')
  /** Calls for the lease are answered when the test says so. */
  const hold = () => {
    const gate = Promise.withResolvers<void>()
    const ask = store.lease.bind(store)
    store.lease = async (...given) => {
      const answer = await ask(...given)
      await gate.promise
      return answer
    }
    return gate.resolve
  }
  return { time, lease, held, hold }
}

test('it is held while the node lives, and free after its end', async () => {
  const { time, lease, held } = world()
  lease.start()
  await time.advanceAsync(60_000)
  expect(held()).toBe(true)
  await lease.stop()
  expect(held()).toBe(false)
  expect(time.timers).toBe(0)
  await time.advanceAsync(60_000)
  expect(held()).toBe(false)
})

test('one that is being taken at the end is given back before the end is over', async () => {
  const { time, lease, held, hold } = world()
  const answer = hold()
  lease.start()
  await settled()
  expect(held()).toBe(true)
  const stopping = lease.stop()
  answer()
  await stopping
  expect(held()).toBe(false)
  expect(time.timers).toBe(0)
})

test('a store that answers too late delays nobody, and what it gives is given back', async () => {
  const { time, lease, held, hold } = world()
  const answer = hold()
  lease.start()
  await settled()
  const stopping = lease.stop()
  await time.advanceAsync(500)
  await stopping
  expect(held()).toBe(true)
  answer()
  await settled()
  expect(held()).toBe(false)
  expect(time.timers).toBe(0)
})
