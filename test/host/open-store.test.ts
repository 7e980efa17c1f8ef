import { resolve } from 'node:path'
import { definePlugin, type StoreContext, z } from 'millrace'
import { FakeTime } from 'millrace/conformance'
import { expect, test } from 'vitest'
import { openStore } from '../../core/host/open-store.ts'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { MemoryClient, MemoryStore } from '../conformance/memory-store.ts'
import { FakeClock } from '../harness/fake-clock.ts'

function world() {
  const contexts: StoreContext[] = []
  const seen: unknown[] = []
  const plugin = definePlugin({
    api: 1,
    kind: 'config-store',
    name: 'kept',
    options: z.strictObject({ path: z.string().default('x') }),
    create(context, options) {
      contexts.push(context)
      seen.push(options)
      context.defer(() => void seen.push('released'))
      return new MemoryClient(new MemoryStore(new FakeTime()), context.clock)
    },
  })
  const registry = new PluginRegistry()
  registry.add(builtIn(plugin))
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const deps = {
    registry,
    fleet: 'shop',
    node: { id: 'lb-1', boot: 'b' },
    data: 'here',
    clock: new FakeClock(),
    random: () => 0.5,
    log,
  }
  return { contexts, seen, deps }
}

test('a store is made with its fleet, node and data directory, works, and is released once', async () => {
  const { contexts, seen, deps } = world()
  const { store, stop } = await openStore({ use: 'kept', options: { path: 'y' }, path: 'store' }, deps)
  expect(contexts[0]).toMatchObject({ id: 'store', fleet: 'shop', node: deps.node, data: resolve('here') })
  await store.put('config', Buffer.from('x'), null, 'write-1-0123456789', { by: 'test' })
  expect((await store.get('config'))?.bytes).toBe(1)
  await Promise.all([stop(), stop()])
  expect(seen).toEqual([{ path: 'y' }, 'released'])
  expect(contexts[0].signal.aborted).toBe(true)
})

test('an unknown store and wrong options are told', async () => {
  const { deps } = world()
  await expect(openStore({ use: 'kep', options: {}, path: 'store' }, deps)).rejects.toMatchObject({
    code: 'MR_PLUGIN_UNKNOWN',
    message: expect.stringContaining('did you mean "kept"'),
  })
  await expect(openStore({ use: 'kept', options: { pat: 1 }, path: 'store' }, deps)).rejects.toMatchObject({
    code: 'MR_PLUGIN_OPTIONS',
  })
})
