/** What docs/writing-plugins.md promises, done as it says. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { startBackend } from '../examples/example.ts'
import { callCli } from './call-cli.ts'
import { folderWith, runCli, startCli } from './run-cli.ts'
import { typesOf } from './types-of.ts'

const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/writing-plugins.md'), 'utf8')
const blocks = (language: string): string[] =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, own, text]) =>
    own === language ? [text] : [],
  )

/** Removes the lines that the page takes out, and writes what it puts there; each must be found once. */
function edit(file: string, diff: string): number {
  let text = readFileSync(file, 'utf8')
  let edited = 0
  for (const [, removed, added = ''] of diff.matchAll(/^-(.*\n)(?:\+(.*\n))?/gm)) {
    expect(text.split(removed)).toHaveLength(2)
    text = text.replace(removed, () => added)
    edited++
  }
  writeFileSync(file, text)
  return edited
}

test('from an empty folder to serving in five edited lines, by the page alone', async () => {
  const backends = await Promise.all(['one', 'two', 'three'].map(startBackend))
  const directory = folderWith({})
  const at = (...parts: string[]): string => path.join(directory, ...parts)
  expect(await callCli(['plugin', 'new', 'algorithm', 'tenant-sticky'], { directory })).toMatchObject({
    status: 0,
  })
  const [plugin, own] = blocks('diff')
  const edited =
    edit(at('tenant-sticky/tenant-sticky.ts'), plugin) + edit(at('tenant-sticky/tenant-sticky.test.ts'), own)
  expect(edited).toBeLessThanOrEqual(5)
  const tested = await runCli(['plugin', 'test', 'tenant-sticky'], { directory })
  expect(tested).toMatchObject({ status: 0, out: expect.stringContaining('few others move') })
  expect(tested.out).toMatch(/fail 0[\s\S]*skipped 0/)
  expect(typesOf(at('tenant-sticky'))).toBe('')
  const urls = JSON.stringify(backends.map(({ port }) => `http://127.0.0.1:${port}`))
  const config = blocks('yaml')[0]
    .replace(/:8080|:9901/g, ':0')
    .replace(/backends: .*/, `backends: ${urls}`)
  writeFileSync(at('millrace.yaml'), config)
  expect(await callCli(['check'], { directory })).toMatchObject({ status: 0, err: '' })
  const [, url] = await startCli(['up', '-c', 'millrace.yaml'], { directory }).waitFor(/web +(http:\S+)/)
  const answers = async (tenant: string): Promise<Set<string>> => {
    const found = new Set<string>()
    for (let tries = 0; tries < 8; tries++)
      found.add(await (await fetch(url, { headers: { 'x-tenant': tenant } })).text())
    return found
  }
  const tenants = await Promise.all(Array.from({ length: 20 }, (_, index) => answers(`tenant-${index}`)))
  // Each keeps to one backend, and together they use more than one: all on one of three by chance is 3^-19.
  expect(tenants.map(({ size }) => size)).toEqual(tenants.map(() => 1))
  expect(new Set(tenants.map((one) => [...one][0])).size).toBeGreaterThan(1)
})

/** Each example's options to test with, and what the kit cannot know of it. */
const setups: Readonly<Record<string, string>> = {
  'next-one': "fixture: { shares: 'even' }",
  'at-most': 'options: { tries: 3 }, fixture: { opens: false }',
  'closed-for-work': "options: { path: '/work' }, fixture: { requests: [{}, { target: '/work/1' }] }",
  'down-list': "options: { file: './nowhere' }, fixture: { learns: 'set' }",
}

test('every example of the page is a plugin that passes the kit, and its types are right', async () => {
  const examples = blocks('ts').flatMap((text) => {
    const name = /^\/\/ ([\w-]+)\.ts\n/.exec(text)?.[1]
    return name === undefined ? [] : [{ name, text }]
  })
  expect(examples.map(({ name }) => name)).toEqual(Object.keys(setups))
  const directory = folderWith({})
  // Its tsconfig.json is the one that an author has.
  await callCli(['plugin', 'new', 'filter', 'examples'], { directory })
  for (const { name, text } of examples) {
    writeFileSync(path.join(directory, `examples/${name}.ts`), text)
    const own = `import { test } from 'node:test'
      import { conformance } from 'millrace/conformance'
      import plugin from './${name}.ts'
      conformance(plugin, { test, ${setups[name]} })\n`
    writeFileSync(path.join(directory, `examples/${name}.test.ts`), own)
  }
  // The page's own test of what one of them does.
  const [ownTest] = blocks('ts').filter((text) => text.startsWith('// closed-for-work.test.ts\n'))
  writeFileSync(path.join(directory, 'examples/closed-for-work.own.test.ts'), ownTest)
  const { status, out } = await runCli(['plugin', 'test', 'examples'], { directory })
  expect(out).toMatch(/fail 0[\s\S]*skipped 0/)
  expect(status).toBe(0)
  for (const { name } of examples) expect(out).toContain(` ${name}: has the shape of a plugin`)
  expect(out).toContain('what is closed is refused, all else goes to the backend')
  expect(typesOf(path.join(directory, 'examples'))).toBe('')
})
