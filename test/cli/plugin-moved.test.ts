/** What `plugin new` has written, in another place than where it was written, and with no Millrace in the PATH. */
import { spawnSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync, readlinkSync, renameSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { folderWith, runCli } from './run-cli.ts'
import { typesOf } from './types-of.ts'

const root = path.resolve(import.meta.dirname, '../..')

/** As in a shell of its own: nothing of whoever runs the tests. */
function shell(directory: string, command: string, ...args: string[]) {
  const env = Object.fromEntries(
    Object.entries(process.env)
      .filter(([name]) => !/^(npm_|MILLRACE_|VITEST|NODE_)/.test(name))
      .map(([name, value]) => [name, name === 'PATH' ? withoutModules(value) : value]),
  )
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: directory, env, encoding: 'utf8' })
  return { status, text: `${stdout}${stderr}` }
}

const withoutModules = (paths = ''): string =>
  paths
    .split(path.delimiter)
    .filter((folder) => !folder.includes('node_modules'))
    .join(path.delimiter)

/** Written in `my-own`, and moved away from there. */
async function movedPlugin(): Promise<string> {
  const directory = folderWith({ 'elsewhere/README.md': '' })
  expect(await runCli(['plugin', 'new', 'filter', 'my-own'], { directory })).toMatchObject({ status: 0 })
  const moved = path.join(directory, 'elsewhere/deep')
  renameSync(path.join(directory, 'my-own'), moved)
  return moved
}

test('no file of it holds a path of this machine; that of Millrace is one from the folder on', async () => {
  const moved = await movedPlugin()
  const files = readdirSync(moved, { withFileTypes: true }).filter((entry) => entry.isFile())
  const texts = files.map(({ name }) => readFileSync(path.join(moved, name), 'utf8'))
  const words = texts.join('\n').split(/[\s"'`()]+/)
  expect(words.filter((word) => word.startsWith(root) || word.startsWith(path.dirname(moved)))).toEqual([])
  const manifest = JSON.parse(readFileSync(path.join(moved, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  const [, relative] = /^file:(\.\.\/.*)$/.exec(manifest.devDependencies.millrace) ?? []
  expect(path.resolve(path.dirname(path.dirname(moved)), 'my-own', relative)).toBe(root)
})

test('npm test and the command run there', async () => {
  const moved = await movedPlugin()
  const tested = shell(moved, 'npm', 'test')
  expect(tested.text).toMatch(/pass [1-9]\d*\n[\s\S]*fail 0/)
  expect(tested.status).toBe(0)
  expect(shell(moved, 'npx', 'millrace', '--version')).toMatchObject({
    status: 0,
    text: expect.stringMatching(/^\d+\.\d+\.\d+/m),
  })
})

test('the editor finds the types, and the build writes the plugin alone', async () => {
  const moved = await movedPlugin()
  expect(typesOf(moved)).toBe('')
  expect(typesOf(moved, '-p', 'tsconfig.build.json')).toBe('')
  expect(readdirSync(path.join(moved, 'dist')).sort()).toEqual(['my-own.d.ts', 'my-own.js'])
})

test('links are as npm makes them, so that it takes them for its own', async () => {
  const moved = await movedPlugin()
  const link = (name: string): string => readlinkSync(path.join(moved, 'node_modules', name))
  expect(link('millrace')).toBe(root)
  expect(link('.bin/millrace')).toBe('../millrace/cli/bin.js')
  // What the link leads to can be run.
  expect(lstatSync(path.join(root, 'cli/bin.js')).mode & 0o111).not.toBe(0)
})

test('in a folder below one that has Millrace installed nothing is linked', async () => {
  const directory = folderWith({
    'node_modules/millrace/package.json': '{}',
    'node_modules/.bin/millrace': '',
  })
  expect(await runCli(['plugin', 'new', 'filter', 'my-own'], { directory })).toMatchObject({ status: 0 })
  expect(readdirSync(path.join(directory, 'my-own/node_modules'))).toEqual(['@types'])
})
