/** What an author of a plugin is told who has misspelt something. */
import { expect, test } from 'vitest'
import { folderWith, runCli } from './run-cli.ts'

test('plugin test says which kind and which name were meant, and where', async () => {
  const plugin = `import { definePlugin, z } from 'millrace'

export default definePlugin({ api: 1, kind: 'filter', name: 'own', options: z.strictObject({}), create: () => ({}) })
`
  const own = `import { test } from 'node:test'
import { conformance } from 'millrace/conformance'
import plugin from './own.ts'

conformance(plugin, { test })
`
  const directory = folderWith({
    'kind/own.ts': plugin.replace("'filter'", "'filtr'"),
    'kind/own.test.ts': own,
    'name/own.ts': plugin.replaceAll('definePlugin', 'definePlugn'),
    'name/own.test.ts': own,
    'call/own.ts': plugin.replace('default definePlugin', 'default definePlugn'),
    'call/own.test.ts': own,
  })
  const kind = await runCli(['plugin', 'test', 'kind'], { directory })
  expect(kind.out).toMatch(
    /MR_PLUGIN_SHAPE kind\/own\.test\.ts:5: The plugin is of kind "filtr", .* — did you mean "filter"\?/,
  )
  expect(kind.out).not.toContain('TypeError')
  const name = await runCli(['plugin', 'test', 'name'], { directory })
  expect(name.out).toMatch(
    /millrace has no export "definePlugn" — did you mean "definePlugin"\?.*\n *name\/own\.ts:1\n *import \{ definePlugn, z \} from 'millrace'\n {9,}\^{11}/,
  )
  const call = await runCli(['plugin', 'test', 'call'], { directory })
  expect(call.out).toMatch(
    /cannot be loaded: call\/own\.ts:3: definePlugn is not defined — did you mean "definePlugin"\?; write: import \{ definePlugin \} from 'millrace'/,
  )
  expect([kind.status, name.status, call.status]).toEqual([1, 1, 1])
})
