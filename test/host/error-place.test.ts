/** Errors of plugins say where in the plugin, by a path that starts at the config. */
import { expect, test } from 'vitest'
import { filterSource, scratchFolder } from './fixtures/folder.ts'
import { nativeHost } from './fixtures/native-host.ts'

test('a throw in create has the line of the plugin, or of its helper, that is nearest to it', async () => {
  const folder = await scratchFolder({
    'plugins/own.ts': filterSource('own', "throw new Error('boom')"),
    'plugins/late.ts': filterSource('late', 'return fail()', "import { fail } from './lib/fail.ts'"),
    'plugins/lib/fail.ts':
      "export async function fail(): Promise<never> {\n  throw new TypeError('boom')\n}\n",
    // Thrown in a library: what counts is who called it.
    'plugins/core.ts': filterSource('core', 'z.string().parse(1)'),
    'plugins/text.ts': filterSource('text', "throw 'boom'"),
  })
  const host = nativeHost()
  const refused = async (name: string): Promise<string> =>
    (await host.refused(folder.file(`plugins/${name}.ts`))).message
  expect(await refused('own')).toBe('The filter "own" (test): create threw: plugins/own.ts:8: boom')
  expect(await refused('late')).toBe('The filter "late" (test): create threw: plugins/lib/fail.ts:2: boom')
  expect(await refused('core')).toMatch(/^The filter "core" \(test\): create threw: plugins\/core\.ts:8: /)
  expect(await refused('text')).toBe('The filter "text" (test): create threw: boom')
})

test('the code of a package is named from the config, too', async () => {
  const folder = await scratchFolder({
    'node_modules/@acme/gate/package.json': '{ "name": "@acme/gate", "exports": "./a.js", "type": "module" }',
    'node_modules/@acme/gate/a.js': filterSource('gate', "throw new Error('boom')"),
  })
  expect(await nativeHost().refused(folder.package('@acme/gate'))).toMatchObject({
    code: 'MR_PLUGIN_CREATE',
    message: 'The filter "gate" (test): create threw: node_modules/@acme/gate/a.js:8: boom',
  })
})

test('what keeps a plugin from loading has its file, line and code, from the config', async () => {
  const folder = await scratchFolder({
    'plugins/open.ts': '\nexport default {\n',
    'plugins/enum.ts': "import './lib/color.ts'\n",
    'plugins/lib/color.ts': '\n\nenum Color { red }\n',
    'plugins/throws.ts': "import { z } from 'millrace'\nz.string().parse(1)\n",
  })
  const host = nativeHost()
  const refused = async (name: string): Promise<string> =>
    (await host.refused(folder.file(`plugins/${name}.ts`))).message
  expect(await refused('open')).toMatch(
    /^Plugin \.\/plugins\/open\.ts: syntax error: .*\nplugins\/open\.ts:\d\n/,
  )
  expect(await refused('enum')).toMatch(/\nplugins\/lib\/color\.ts:3\nenum Color \{ red \}\n/)
  expect(await refused('throws')).toMatch(/threw while it was imported: plugins\/throws\.ts:2: /)
})
