/** The store of a process while its plugin's instance is made anew. */
import { expect, test } from 'vitest'
import type { ConfigStore } from '../../core/contracts/config-store.ts'
import { KeptStore } from '../../core/host/kept-store.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime } from '../conformance/time.ts'

const note = { by: 'test' }

function bench() {
  const data = new MemoryStore(new FakeTime())
  const kept = new KeptStore()
  const store: ConfigStore = kept
  kept.use(data.client())
  return { data, kept, store }
}

test('calls go to the instance there is; while there is none they reject as of a store that is away', async () => {
  const { data, kept, store } = bench()
  await store.put('config', Buffer.from('one'), null, 'write-1-0123456789', note)
  kept.use(undefined)
  await expect(store.get('config')).rejects.toMatchObject({
    code: 'MR_STORE_UNAVAILABLE',
    message: expect.stringContaining('is made anew'),
  })
  kept.use(data.client())
  expect((await store.get('config'))?.bytes).toBe(3)
})

test('what the lost instance never answers is answered; whether a write was made nobody knows', async () => {
  const { data, kept, store } = bench()
  const silent = { get: () => new Promise(() => {}), put: () => new Promise(() => {}) }
  kept.use(silent as unknown as ConfigStore)
  const read = store.get('config')
  const write = store.put('config', Buffer.from('one'), null, 'write-1-0123456789', note)
  kept.use(undefined)
  await expect(read).rejects.toMatchObject({ code: 'MR_STORE_UNAVAILABLE' })
  expect(await write).toMatchObject({ status: 'unknown', cause: { code: 'MR_STORE_UNAVAILABLE' } })
  kept.use(data.client())
  expect(await store.get('config')).toBeNull()
})

test('what an instance throws at once is a rejection', async () => {
  const { kept, store } = bench()
  const throwing = {
    get() {
      throw new Error('boom')
    },
  }
  kept.use(throwing as unknown as ConfigStore)
  await expect(store.get('config')).rejects.toThrow('boom')
})

test('a lease is lost with the instance that gave it, and another can be had', async () => {
  const { data, kept, store } = bench()
  const lease = await store.lease('node/a', 'a/1', 10_000)
  expect([lease?.valid(), lease?.holder, await lease?.renew()]).toEqual([true, 'a/1', true])
  kept.use(undefined)
  expect([lease?.valid(), lease?.remainingMs(), await lease?.renew()]).toEqual([false, 0, false])
  await lease?.release()
  kept.use(data.client())
  expect(lease?.valid()).toBe(false)
  const again = await store.lease('node/a', 'a/1', 10_000)
  expect([again?.valid(), again?.token]).toEqual([true, lease?.token])
})

/** The memory store tells its watchers in a turn of its own. */
const told = () => new Promise((resolve) => setImmediate(resolve))

test('a watch goes over to the next instance; between the two the bus is down', async () => {
  const { data, kept, store } = bench()
  const heard: unknown[] = []
  const watching = store.watch?.(['config'], {
    hint: (document, revision) => heard.push([document, revision?.number]),
    bus: (state) => heard.push(state),
  })
  await told()
  const [first] = data.watchers
  expect(heard).toEqual(['up'])
  kept.use(undefined)
  expect(heard).toEqual(['up', 'down'])
  kept.use(data.client())
  await told()
  expect(heard).toEqual(['up', 'down', 'up'])
  const head = await store.put('config', Buffer.from('one'), null, 'write-1-0123456789', note)
  expect(head.status).toBe('committed')
  // The watch of the lost instance is still there: it is not heard.
  expect(data.watchers.has(first)).toBe(true)
  expect(heard).toEqual(['up', 'down', 'up', ['config', 1]])
  watching?.close()
  expect(data.watchers.size).toBe(1)
})

test('where instances cannot be watched, nor can it', () => {
  const kept = new KeptStore()
  kept.use({} as ConfigStore)
  expect((kept as ConfigStore).watch).toBeUndefined()
})
