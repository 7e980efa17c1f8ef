import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { loadWithPlugins } from '../../cli/load.ts'

const root = path.resolve(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')
const documents = globSync('{*.md,{bench,cli,core,docs,examples,plugins,test}/**/*.md}', { cwd: root })
  .filter((file) => !file.includes('node_modules'))
  .sort()

/** The code blocks of a language. */
const blocks = (file: string, language: string): string[] =>
  [...read(file).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, own]) => own === language)
    .map(([, , text]) => text)

test.each(documents)('links of %s lead somewhere', (file) => {
  const targets = [...read(file).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target]) => target)
  const broken = targets.filter((target) => !existsSync(path.resolve(root, path.dirname(file), target)))
  expect(broken).toEqual([])
})

test('the config of the README is right', async () => {
  const [text] = blocks('README.md', 'yaml')
  const { config } = await loadWithPlugins({ text, name: 'README.md', directory: root }, {})
  expect(config.warnings).toEqual([])
  expect(Object.keys(config.snapshot.services)).toEqual(['shop', 'api'])
})

test('the plugin of the README is the tested example, in under 20 lines', () => {
  const [text] = blocks('README.md', 'ts')
  expect(text).toBe(`// primary-first.ts\n${read('examples/primary-first/primary-first.ts')}`)
  expect(text.trimEnd().split('\n').length).toBeLessThan(20)
})

test.each(globSync('examples/*/millrace.yaml', { cwd: root }))('%s is right and has a test', async (file) => {
  const { config } = await loadWithPlugins({ path: path.join(root, file) }, {})
  expect(config.warnings).toEqual([])
  expect(existsSync(path.join(root, 'test/examples', `${path.basename(path.dirname(file))}.test.ts`))).toBe(
    true,
  )
})

test('every built-in plugin and verb is named in the README', async () => {
  const readme = read('README.md')
  const { builtins } = await import('../../plugins/manifest.ts')
  for (const { name } of builtins) expect(readme).toMatch(new RegExp(`[\`\\s]${name}[,;.\\s]`))
  for (const verb of ['up', 'lb', 'check', 'explain', 'schema', 'plugin', 'breaker', 'config', 'lock'])
    expect(readme).toContain(`| \`${verb}\` |`)
})
