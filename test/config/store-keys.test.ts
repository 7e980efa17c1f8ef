import { describe, expect, test } from 'vitest'
import { inheritOptions } from '#core/config/sync-options'
import { definePlugin, z } from '#core/contracts/index'
import { builtIn, PluginRegistry } from '#core/host/registry'
import { builtins } from '../../plugins/manifest.ts'
import { load, places, problemsOf, web } from './load-text.ts'

const url = z.string()
const store = { lineage() {}, get() {}, heads() {}, put() {}, history() {}, revision() {}, unannounced() {} }
const registry = new PluginRegistry()
for (const definition of [
  ...builtins,
  definePlugin({
    api: 1,
    kind: 'config-store',
    name: 'acme',
    options: z.strictObject({ url, database: z.int().default(0) }),
    create: () => store as never,
  }),
  definePlugin({
    api: 1,
    kind: 'config-sync',
    name: 'acme',
    options: z.strictObject({ url, heartbeat: z.int().default(1) }),
    create: () => ({}),
  }),
])
  registry.add(builtIn(definition))
const plugins = registry.catalog()

const acme = 'store: { use: acme, url: "acme://a", database: 3 }\n'

test('a file with a store holds the local half', async () => {
  const { bootstrap, snapshot } = await load(
    `${web}${acme}sync: { use: poll, poll: 250ms, reconcile: 5m }\n`,
    {
      plugins,
    },
  )
  expect(bootstrap.store).toEqual({ use: 'acme', options: { url: 'acme://a', database: 3 }, path: 'store' })
  expect(bootstrap.sync).toEqual({
    use: 'poll',
    options: {},
    path: 'sync',
    pollMs: 250,
    reconcileMs: 300_000,
  })
  expect([snapshot.routes, snapshot.services, snapshot.filters]).toEqual([[], {}, []])
})

test('a bare name will do; without `sync` what suits the store is chosen later', async () => {
  const { bootstrap } = await load(`${web}store: memory\nsync: poll\n`, { plugins })
  expect(bootstrap.store?.use).toBe('memory')
  expect(bootstrap.sync).toMatchObject({ use: 'poll', pollMs: 1000, reconcileMs: 60_000 })
  expect((await load(`${web}store: memory\n`, { plugins })).bootstrap.sync).toBeUndefined()
})

test('backups go into a folder or a command, daily and weekly where nothing else is said', async () => {
  const backup = async (text: string) =>
    (await load(`${web}store: memory\nbackup: ${text}\n`, { plugins })).bootstrap.backup
  expect(await backup('{ to: /backups }')).toEqual({
    to: { kind: 'folder', folder: '/backups' },
    incrementalMs: 86_400_000,
    fullMs: 604_800_000,
    keep: 5,
  })
  expect(await backup('{ command: cat, incremental: 1h, full: 1d, keep: 2 }')).toEqual({
    to: { kind: 'command', command: 'cat' },
    incrementalMs: 3_600_000,
    fullMs: 86_400_000,
    keep: 2,
  })
})

test('routes, services and filters beside a store are refused, each with what to do', async () => {
  const found = await problemsOf(
    `${acme}filters: [request-id]\nroutes: [{ service: a }]\nservices: { a: { backends: ["http://127.0.0.1:1"] } }\n` +
      `listeners: { web: { address: "127.0.0.1:0", routes: [{ service: a }] } }\n`,
    { plugins },
  )
  expect(found.map(({ path }) => path)).toEqual(['filters', 'routes', 'services', 'listeners.web.routes'])
  for (const { message, suggestion } of found) {
    expect(message).toContain('the config store holds')
    expect(suggestion).toContain('millrace config apply')
  }
})

describe('what is wrong', () => {
  test.each([
    ['sync: poll\n', ['MR_CONFIG_INVALID 2:1 sync'], 'nothing to keep in sync'],
    ['backup: { to: a }\n', ['MR_CONFIG_INVALID 2:1 backup'], 'nothing to back up'],
    ['store: memory\nbackup: { keep: 3 }\n', ['MR_CONFIG_INVALID 3:1 backup'], 'expected `to`'],
    ['store: acmee\n', ['MR_PLUGIN_UNKNOWN 2:8 store'], 'acmee'],
    [
      'store: ./acme.ts\n',
      ['MR_CONFIG_INVALID 2:8 store', 'MR_PLUGIN_UNKNOWN 2:8 store'],
      'the name of a plugin',
    ],
    ['store: memory\nsync: { use: polll }\n', ['MR_PLUGIN_UNKNOWN 3:14 sync.use'], 'polll'],
    ['store: memory\nsync: { use: poll, poll: 0s }\n', ['MR_CONFIG_INVALID 3:26 sync.poll'], ''],
    ['store: { use: acme, url: 3 }\n', ['MR_PLUGIN_OPTIONS 2:26 store.url'], ''],
  ])('%j', async (text, expected, message) => {
    const found = await problemsOf(web + text, { plugins })
    expect(places(found)).toEqual(expected)
    expect(found[0].message).toContain(message)
  })
})

describe('a sync of the store’s own kind', () => {
  test('has what its schema knows and it does not set from the store', async () => {
    await load(`${web}${acme}sync: acme\n`, { plugins })
    const shared = { use: 'acme', options: { url: 'acme://a', database: 3 } }
    expect(inheritOptions(plugins, shared, { use: 'acme', options: {} })).toEqual({ url: 'acme://a' })
    const own = { use: 'acme', options: { url: 'acme://b' } }
    expect(inheritOptions(plugins, shared, own)).toEqual({ url: 'acme://b' })
    expect(inheritOptions(plugins, shared, { use: 'poll', options: {} })).toEqual({})
  })

  test('its own wrong options are told where they stand', async () => {
    const found = await problemsOf(`${web}${acme}sync: { use: acme, heartbeat: x }\n`, { plugins })
    expect(places(found)).toEqual(['MR_PLUGIN_OPTIONS 3:31 sync.heartbeat'])
  })
})
