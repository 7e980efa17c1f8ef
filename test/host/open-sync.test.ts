import { definePlugin, type SyncContext, z } from 'millrace'
import { expect, onTestFinished, test } from 'vitest'
import type { SyncUse } from '#core/config/snapshot'
import { systemClock } from '#core/host/clock'
import type { MainUses, WatchedUse } from '#core/host/main-use'
import { openSync, type SyncDeps, syncUse } from '#core/host/open-sync'
import { builtIn, PluginRegistry } from '#core/host/registry'
import { builtins } from '../../plugins/manifest.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime, until } from '../conformance/time.ts'

const registry = new PluginRegistry()
for (const definition of builtins) registry.add(builtIn(definition))

const nothing = { add() {}, set() {} }

async function open(use: string, watched = true, more: Partial<SyncDeps> = {}) {
  const time = new FakeTime()
  const data = new MemoryStore(time)
  const store = data.client()
  if (!watched) Object.assign(store, { watch: undefined })
  const told: unknown[] = []
  const chosen: SyncUse = { use, options: {}, path: 'sync', pollMs: 1000, reconcileMs: 60_000 }
  const opened = await openSync(chosen, {
    fleet: 'test',
    ...{ registry, store, documents: ['config'], clock: systemClock, random: Math.random },
    self: { id: 'lb-1', boot: 'b', role: 'lb', address: '127.0.0.1', zone: '' },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    metrics: { counter: () => nothing, gauge: () => nothing },
    hint: (document, revision) => told.push([document, revision?.number]),
    bus: (state) => told.push(state),
    ...more,
  })
  onTestFinished(() => opened.stop())
  const put = (document: string) =>
    data.client().put(document, Buffer.from('x'), null, `write-${document}`, { by: 'test' })
  return { opened, told, put, watchers: data.watchers }
}

test('native hints at what matters to this node, until it is stopped', async () => {
  const { opened, told, put, watchers } = await open('native')
  await put('config')
  await put('overrides')
  expect(told).toEqual(['up', ['config', 1]])
  await opened.stop()
  expect(watchers.size).toBe(0)
})

test('native says what to do about a store that cannot be watched', async () => {
  await expect(open('native', false)).rejects.toMatchObject({
    code: 'MR_PLUGIN_CREATE',
    message: expect.stringContaining('`poll`'),
  })
})

test('one whose plugin has thrown is made anew: the bus is down meanwhile, and what the lost one tells is not heard', async () => {
  const contexts: SyncContext[] = []
  let announced = 0
  const own = new PluginRegistry()
  own.add(
    builtIn(
      definePlugin({
        api: 1,
        kind: 'config-sync',
        name: 'own',
        options: z.strictObject({}),
        create(context) {
          contexts.push(context)
          context.bus('up')
          return {
            async announce() {
              announced++
            },
          }
        },
      }),
    ),
  )
  const uses = new Set<WatchedUse>()
  const watch: MainUses = {
    add(use) {
      uses.add(use)
      return () => void uses.delete(use)
    },
    inside: (_use, work) => work(),
    outside: (work) => work(),
  }
  const { opened, told } = await open('own', true, { registry: own, uses: watch })
  const revision = { number: 1, id: 'a' }
  await opened.sync.announce?.('config', revision)
  const [use] = uses
  use.threw()
  await expect(opened.sync.announce?.('config', revision)).rejects.toMatchObject({ code: 'MR_NETWORK' })
  contexts[0].hint('config', revision)
  contexts[0].bus('up')
  expect(told).toEqual(['up', 'down'])
  await until('another is there', () => contexts.length === 2 && use.down === undefined)
  contexts[1].hint('config', revision)
  expect(told).toEqual(['up', 'down', 'up', ['config', 1]])
  await opened.sync.announce?.('config', revision)
  expect(announced).toBe(2)
})

test('poll never says that a bus is up', async () => {
  const { told, put } = await open('poll')
  await put('config')
  expect(told).toEqual([])
})

test('without `sync` the watch of the store is used, else it is polled', () => {
  const store = new MemoryStore(new FakeTime()).client()
  const memory = { store: { use: 'memory', options: {}, path: 'store' }, sync: undefined }
  expect(syncUse(memory, store, registry)).toMatchObject({ use: 'native', pollMs: 1000, reconcileMs: 60_000 })
  Object.assign(store, { watch: undefined })
  expect(syncUse(memory, store, registry).use).toBe('poll')
})
