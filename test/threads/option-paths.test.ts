/** Relative paths in options: from the folder of the config file, and from `node.data` where the config is in a store. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Config } from '../../core/config/snapshot.ts'
import { Halves } from '../../core/threads/halves.ts'
import { pluginBench, stampSource } from './fixtures/plugin-bench.ts'

test('a filter on data threads, and a health source on the main thread, read the files beside the config', async () => {
  const reading = stampSource(
    'word',
    "const word = readFileSync(context.resolvePath('./words/one.txt'), 'utf8')",
  )
    .replace("'word'", 'word')
    .concat("\nimport { readFileSync } from 'node:fs'\n")
  const source = `import { readFileSync } from 'node:fs'
    import { definePlugin, z } from 'millrace'
    export default definePlugin({
      api: 1, kind: 'health-source', name: 'listed', options: z.strictObject({}),
      create(context) {
        const reason = readFileSync(context.resolvePath('why.txt'), 'utf8')
        return { update(targets) { for (const { id } of targets) context.set(id, { up: false, reason }) } }
      },
    })`
  const bench = await pluginBench({
    files: { 'stamp.ts': reading, 'listed.ts': source, 'why.txt': 'it is written', 'words/one.txt': 'one' },
    config: { plugins: ['./stamp.ts', './listed.ts'] },
  })
  expect(await bench.stamps()).toEqual(['one'])
  const { services } = (await bench.load()).config.snapshot
  const [{ url }] = services.app.backends
  const result = await bench.apply({ services: { app: { backends: [url], health: 'listed' } } })
  expect(result).toMatchObject({ status: 'applied', problems: [] })
  expect(bench.server.services()[0].backends[0]).toMatchObject({ health: 'down', reason: 'it is written' })
})

test('what comes from a store starts at node.data, and stays there', async () => {
  const bench = await pluginBench({ files: { 'stamp.ts': stampSource('one') } })
  const { config, registry } = await bench.load()
  const applied: Config[] = []
  const server = {
    async apply(given: Config) {
      applied.push(given)
      return { status: 'applied', revision: applied.length, problems: [] } as const
    },
    configUnreadable() {},
  }
  const halves = new Halves(server, { config, registry })
  expect(await halves.useDynamic({ routes: [], services: {} }, 'revision 1')).toEqual({ status: 'used' })
  const moved = {
    ...config,
    bootstrap: { ...config.bootstrap, node: { ...config.bootstrap.node, data: '/else' } },
  }
  await halves.useLocal(moved, registry)
  expect(config.snapshot.directory).toBe(bench.directory)
  expect(applied.map(({ snapshot }) => snapshot.directory)).toEqual([
    join(bench.directory, '.millrace'),
    join(bench.directory, '.millrace'),
  ])
})
