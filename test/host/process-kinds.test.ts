/** Kinds that nothing in the core hosts yet: their plugins are fully typed, and the loader takes them. */
import {
  type ConfigStore,
  type ConfigSync,
  definePlugin,
  type Locker,
  type PluginContext,
  type PluginKind,
  z,
} from 'millrace'
import { expect, expectTypeOf, test } from 'vitest'
import { optionsOf, slotKeys } from '../../core/config/uses.ts'
import { parseOptions } from '../../core/host/options.ts'
import { checkPlugin } from '../../core/host/plugin-shape.ts'

const options = z.strictObject({ url: z.string().default('redis://127.0.0.1') })

test('`kind` types the context, the instance and the options', () => {
  const store = definePlugin({
    api: 1,
    kind: 'config-store',
    name: 'typed',
    options,
    create(context, given) {
      expectTypeOf(context.fleet).toEqualTypeOf<string>()
      expectTypeOf(given.url).toEqualTypeOf<string>()
      return {} as ConfigStore
    },
  })
  const sync = definePlugin({
    api: 1,
    kind: 'config-sync',
    name: 'typed',
    options,
    create(context) {
      expectTypeOf(context.store).toEqualTypeOf<ConfigStore | undefined>()
      context.bus('down')
      // @ts-expect-error a bus is up or down
      context.bus('sideways')
      return {
        async announce(document, revision) {
          expectTypeOf([document, revision.number] as const).toEqualTypeOf<readonly [string, number]>()
        },
      } satisfies ConfigSync
    },
  })
  const lock = definePlugin({
    api: 1,
    kind: 'lock',
    name: 'typed',
    options,
    create: (context) => {
      expectTypeOf(context).toExtend<PluginContext>()
      return { acquire: async () => undefined } satisfies Locker
    },
  })
  for (const plugin of [store, sync, lock]) expect(checkPlugin(plugin, 'here')).toBe(plugin)
})

test('every kind has its slot keys', () => {
  const kinds: PluginKind[] = ['config-store', 'config-sync', 'election', 'lock', 'failure-detector']
  kinds.push('provisioner', 'metrics-source', 'dns-publisher', 'vip')
  for (const kind of kinds) expect(slotKeys[kind]).toContain('use')
  expect(optionsOf('config-sync', { use: 'redis', url: 'x', poll: '1s', reconcile: '60s' })).toEqual({
    url: 'x',
  })
})

test('a mistyped option is told the slot keys beside the own ones', () => {
  const sync = { kind: 'config-sync' as const, name: 'typed', options }
  expect(() => parseOptions(sync, { pol: '1s' })).toThrow(/known: url, poll, reconcile — did you mean "poll"/)
})
