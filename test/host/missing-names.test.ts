/** Names of ours that a plugin misspells, or forgets to import. */
import path from 'node:path'
import { expect, test } from 'vitest'
import { scratchFolder } from './fixtures/folder.ts'
import { nativeHost } from './fixtures/native-host.ts'

async function refusalOf(text: string): Promise<string> {
  const folder = await scratchFolder({ 'a.ts': text })
  const { message } = await nativeHost().refused(folder.file('a.ts'))
  return message.replaceAll(`${folder.path}${path.sep}`, '')
}

test('a misspelt import is shown where it stands, not where its name stands else', async () => {
  const message = await refusalOf(
    "// definePlugn\nimport path from 'node:path'\nimport {\n  z,\n  definePlugn,\n} from 'millrace'\nexport default definePlugn(path, z)\n",
  )
  expect(message).toContain('millrace has no export "definePlugn" — did you mean "definePlugin"?')
  expect(message).toMatch(/\na\.ts:5\n {2}definePlugn,\n {2}\^{11}$/)
})

test.each([
  ['definePlugn', ' — did you mean "definePlugin"?', 'definePlugin'],
  ['definePlugin', '', 'definePlugin'],
])('one that is not defined is told with its import: %s', async (used, hint, meant) => {
  expect(await refusalOf(`const options = {}\n\nexport default ${used}({ options })\n`)).toBe(
    `Plugin ./a.ts: a.ts:3: ${used} is not defined${hint}; write: import { ${meant} } from 'millrace'`,
  )
})

test('what is not defined and is none of ours is told as it was thrown', async () => {
  expect(await refusalOf('export default unheardOf\n')).toBe(
    'Plugin ./a.ts: threw while it was imported: a.ts:1: unheardOf is not defined',
  )
})
