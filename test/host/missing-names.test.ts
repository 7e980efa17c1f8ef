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

test('a misspelt import is shown where it stands', async () => {
  const message = await refusalOf(
    "// definePlugn\nimport path from 'node:path'\nimport {\n  z,\n  definePlugn,\n} from 'millrace'\nexport default definePlugn(path, z)\n",
  )
  expect(message).toContain('millrace has no export "definePlugn" — did you mean "definePlugin"?')
  expect(message).toMatch(/\na\.ts:5\n {2}definePlugn,\n {2}\^{11}$/)
})

// V8 takes the first line of the module for the place of what `export default` uses.
test.each([
  ['definePlugn', ' — did you mean "definePlugin"?; write: import { definePlugin } from \'millrace\''],
  ['definePlugin', "; write: import { definePlugin } from 'millrace'"],
  ['unheardOf', ''],
])('one that is not defined is told with its line and its import: %s', async (used, words) => {
  const text = `// ${used}\nconst options = {}\n\nexport default ${used}({ options })\n`
  expect(await refusalOf(text)).toBe(`Plugin ./a.ts: a.ts:4: ${used} is not defined${words}`)
})

test('the line of a throw in a function is the one that the stack names', async () => {
  const text = 'function make() {\n  return unheardOf\n}\nexport default make()\nunheardOf\n'
  expect(await refusalOf(text)).toBe('Plugin ./a.ts: a.ts:2: unheardOf is not defined')
})
