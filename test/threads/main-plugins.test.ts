/** Throws on the main thread that nobody caught: who has to answer for them. */
import { expect, test } from 'vitest'
import type { AnyPlugin, PluginKind } from '../../core/contracts/plugin.ts'
import type { WatchedUse } from '../../core/host/main-use.ts'
import type { LoadedPlugin } from '../../core/host/registry.ts'
import { MainPlugins } from '../../core/threads/main-plugins.ts'
import { FakeClock } from '../harness/fake-clock.ts'
import { testLog } from './fixtures/server.ts'

const plugin = (
  kind: PluginKind,
  name: string,
  hash: string,
  more: Partial<LoadedPlugin> = {},
): LoadedPlugin => ({
  definition: { kind, name } as AnyPlugin,
  source: { specifier: `./${name}.ts`, kind: 'path', location: `/p/${name}.ts` },
  hash,
  ...more,
})

const thrown = (frames: string): Error =>
  Object.assign(new Error('boom'), { stack: `Error: boom\n    at ${frames}` })
const inKnock = thrown('Timeout.f (file:///p/knock.ts?millrace=aaaa:3:4)')

function bench() {
  const clock = new FakeClock()
  const { lines, log } = testLog()
  const main = new MainPlugins({ clock, log })
  const counted: string[] = []
  main.count(({ definition: { kind, name } }, message) => counted.push(`${kind} ${name}: ${message}`))
  const use = (loaded: LoadedPlugin, down?: string) => {
    const one = {
      loaded,
      down,
      throws: 0,
      threw() {
        one.throws++
      },
    } satisfies WatchedUse & { throws: number }
    return { one, leave: main.add(one) }
  }
  return { clock, lines, main, counted, use }
}

test('the plugin is named and counted, and all its uses hear of it, those of no other one', () => {
  const { lines, main, counted, use } = bench()
  const uses = [
    use(plugin('health-source', 'knock', 'aaaa')),
    use(plugin('health-source', 'knock', 'aaaa')),
    use(plugin('health-source', 'knock', 'bbbb')),
    use(plugin('config-sync', 'knock', 'aaaa')),
  ]
  expect(main.threw(inKnock)).toBe(true)
  expect(uses.map(({ one }) => one.throws)).toEqual([1, 1, 0, 0])
  expect(counted).toEqual(['health-source knock: boom'])
  expect(lines).toMatchObject([
    {
      level: 'error',
      message: 'main thread: health-source knock threw outside of any hook: boom',
      fields: { code: 'MR_PLUGIN_FAULT', kind: 'health-source', plugin: 'knock', version: 'aaaa' },
    },
  ])
  expect(lines[0].fields.stack).toBe('Error: boom\n    at Timeout.f (file:///p/knock.ts:3:4)')
})

test('a version that was replaced is still known, also where no use of it is left', () => {
  const { main, counted, use } = bench()
  const old = plugin('health-source', 'knock', 'aaaa')
  main.know([old])
  main.know([plugin('health-source', 'knock', 'bbbb')])
  const { one } = use(plugin('health-source', 'knock', 'bbbb'))
  use(old).leave()
  expect(main.threw(inKnock)).toBe(true)
  expect([counted, one.throws]).toEqual([['health-source knock: boom'], 0])
})

test('code that was never taken is named by its file', () => {
  const { lines, main, counted } = bench()
  expect(main.threw(thrown('f (file:///p/other.ts?millrace=cccc:3:4)'))).toBe(true)
  expect(counted).toEqual([])
  expect(lines[0]).toMatchObject({
    message: 'main thread: plugin code of /p/other.ts threw outside of any hook: boom',
    fields: { code: 'MR_PLUGIN_FAULT', file: '/p/other.ts' },
  })
})

test.each([
  ['code of the core', thrown('f (file:///app/core/a.ts:1:1)')],
  ['the platform alone', thrown('PipeConnectWrap.afterConnect [as oncomplete] (node:net:1637:16)')],
  ['no error at all', 'boom'],
  ['nothing', undefined],
])('%s is no plugin: nothing is done about it', (_, error) => {
  const { lines, main, counted, use } = bench()
  const { one } = use(plugin('health-source', 'knock', 'aaaa'))
  expect(main.threw(error)).toBe(false)
  expect([lines, counted, one.throws]).toEqual([[], [], 0])
})

test('what the platform throws is of the use that has begun it, however late; what the core throws there is not', async () => {
  const { lines, main, counted, use } = bench()
  const { one } = use(plugin('health-source', 'knock', 'aaaa'))
  const platform = thrown('PipeConnectWrap.afterConnect [as oncomplete] (node:net:1637:16)')
  const later = (error: unknown) =>
    main.inside(one, async () => {
      await null
      return main.threw(error)
    })
  expect(await later(platform)).toBe(true)
  expect(await later('no error at all')).toBe(true)
  expect(await later(thrown('f (file:///app/core/a.ts:1:1)'))).toBe(false)
  expect([counted, one.throws]).toEqual([
    ['health-source knock: boom', 'health-source knock: no error at all'],
    2,
  ])
  expect(lines).toHaveLength(2)
  // What it calls is not its own, and after a throw nothing is.
  expect(main.inside(one, () => main.outside(() => main.threw(platform)))).toBe(false)
  expect(main.inside(one, () => [main.threw(platform), main.threw(platform)])).toEqual([true, false])
})

test('a plugin of data threads is known here only where it is a package, which is imported here too', () => {
  const { main } = bench()
  const entry = 'file:///p/node_modules/@acme/gate/index.js'
  const gate = plugin('filter', 'gate', 'dddd', {
    source: { specifier: '@acme/gate', kind: 'package', location: 'file:///p/' },
    entry,
  })
  main.know([plugin('filter', 'stamp', 'eeee'), gate, plugin('lock', 'own', 'ffff', { source: 'built-in' })])
  expect(main.threw(thrown(`f (${entry}:1:1)`))).toBe(true)
  expect(main.threw(thrown('f (file:///p/stamp.ts:1:1)'))).toBe(false)
})

test('of a flood only the first lines of a second are written, and each throw is counted', () => {
  const { clock, lines, main, counted, use } = bench()
  use(plugin('health-source', 'knock', 'aaaa'))
  for (let i = 0; i < 100; i++) main.threw(inKnock)
  clock.advance(1000)
  expect([lines.length, counted.length]).toEqual([21, 100])
  expect(lines.at(-1)?.message).toBe(
    '80 more faults of health-source knock outside of any hook within this second are not logged',
  )
  main.threw(inKnock)
  main.stop()
  expect(clock.pending).toBe(0)
})

test('why a plugin has no instance is said while that is so', () => {
  const { main, use } = bench()
  const { leave } = use(plugin('health-source', 'knock', 'aaaa'), 'it waits')
  expect(main.down('health-source', 'knock')).toBe('it waits')
  expect(main.down('config-sync', 'knock')).toBeUndefined()
  leave()
  expect(main.down('health-source', 'knock')).toBeUndefined()
})
