import { symlink } from 'node:fs/promises'
import path from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { installResolver, loadPlugin } from '../../core/host/loader.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { filterSource, scratchFolder } from './fixtures/folder.ts'
import { type NativeHost, nativeHost, type Place } from './fixtures/native-host.ts'

const places: Place[] = ['main thread', 'worker thread']

describe.each(places)('in the %s', (place) => {
  test('a .ts file anywhere on the disk imports the running core, with nothing installed beside it', async () => {
    const folder = await scratchFolder({
      'hello.ts': filterSource(
        'hello',
        'context.log.info(errorTable.MR_NO_ROUTE.text); return {}',
        "import { errorTable } from 'millrace'",
      ),
    })
    expect(await nativeHost(place).loaded(folder.file('hello.ts'))).toEqual([
      {
        kind: 'filter',
        name: 'hello',
        hash: expect.stringMatching(/^[0-9a-f]{16}$/),
        said: ['No route matches'],
      },
    ])
  })

  test('a .ts file is an ES module even where package.json says commonjs, its helpers too', async () => {
    const folder = await scratchFolder({
      'package.json': '{ "type": "commonjs" }',
      'main.ts': filterSource(
        'main',
        'context.log.info(word satisfies string); return {}',
        "import { word } from './lib/helper.ts'",
      ),
      'lib/helper.ts':
        "import type { Filter } from 'millrace'\nexport const word: string = 'from the helper'\nexport type F = Filter\n",
    })
    const [plugin] = await nativeHost(place).loaded(folder.file('main.ts'))
    expect(plugin.said).toEqual(['from the helper'])
  })

  test('a millrace installed beside the plugin is not the one it gets', async () => {
    const folder = await scratchFolder({
      'node_modules/millrace/package.json':
        '{ "name": "millrace", "exports": "./index.js", "type": "module" }',
      'node_modules/millrace/index.js': "throw new Error('the wrong millrace')",
      'a.ts': filterSource('a'),
    })
    expect(await nativeHost(place).loaded(folder.file('a.ts'))).toHaveLength(1)
  })

  test('an npm package is found from the folder of the config file', async () => {
    const folder = await scratchFolder({
      'node_modules/@acme/jwt/package.json':
        '{ "name": "@acme/jwt", "type": "module", "exports": { ".": { "import": "./a.js", "require": "./b.cjs" }, "./extra": "./extra.js" } }',
      'node_modules/@acme/jwt/a.js': filterSource('jwt', "context.log.info('esm'); return {}"),
      'node_modules/@acme/jwt/extra.js': filterSource('jwt-extra'),
      'node_modules/old/package.json': '{ "name": "old", "main": "index.js" }',
      'node_modules/old/index.js': `const { definePlugin, z } = require('millrace')
Object.defineProperty(exports, '__esModule', { value: true })
exports.default = definePlugin({ api: 1, kind: 'filter', name: 'old', options: z.strictObject({}), create: () => ({}) })`,
    })
    const loaded = await nativeHost(place).loaded(
      folder.package('@acme/jwt'),
      folder.package('@acme/jwt/extra'),
      folder.package('old'),
    )
    expect(loaded.map(({ name, said }) => [name, ...said])).toEqual([['jwt', 'esm'], ['jwt-extra'], ['old']])
  })
})

describe('versions of code', () => {
  const main = filterSource(
    'main',
    'context.log.info(version); return {}',
    "import { version } from './a.ts'",
  )
  const first = {
    'main.ts': main,
    'a.ts': "export { version } from './b.ts'\n",
    'b.ts': "export const version = 'one'\n",
  }

  test('a changed helper of a helper is new code; the old version can come back', async () => {
    const folder = await scratchFolder(first)
    const host = nativeHost()
    const [one] = await host.loaded(folder.file('main.ts'))
    await folder.write({ 'b.ts': "export const version = 'two'\n" })
    const [two] = await host.loaded(folder.file('main.ts'))
    await folder.write(first)
    const [again] = await host.loaded(folder.file('main.ts'))
    expect([one.said, two.said, again.said]).toEqual([['one'], ['two'], ['one']])
    expect(two.hash).not.toBe(one.hash)
    expect(again.hash).toBe(one.hash)
  })

  test('unchanged code is the same module instance', async () => {
    const folder = await scratchFolder({
      'count.ts': filterSource('count', 'context.log.info(String(++made)); return {}', 'let made = 0'),
    })
    const host = nativeHost()
    const said: unknown[] = []
    for (let round = 0; round < 2; round++) said.push((await host.loaded(folder.file('count.ts')))[0].said)
    expect(said).toEqual([['1'], ['2']])
  })

  test('every thread, and every place on the disk, gives the same code the same version', async () => {
    const [here, there] = [await scratchFolder(first), await scratchFolder(first)]
    const hashes = await Promise.all([
      nativeHost('worker thread').loaded(here.file('main.ts')),
      nativeHost('main thread').loaded(here.file('main.ts')),
      nativeHost('worker thread').loaded(there.file('main.ts')),
    ])
    expect(new Set(hashes.map(([plugin]) => plugin.hash)).size).toBe(1)
  })

  test('a circle of imports ends', async () => {
    const folder = await scratchFolder({
      'a.ts': filterSource('a', 'return {}', "import './b.ts'"),
      'b.ts': "import './a.ts'\nimport './b.ts'\n",
    })
    expect(await nativeHost().loaded(folder.file('a.ts'))).toHaveLength(1)
  })
})

describe('a plugin that does not load', () => {
  let host: NativeHost
  const cleanup = untilFileEnds()
  beforeAll(() => {
    host = nativeHost('worker thread', { cleanup })
  })
  const refusal = async (files: Record<string, string>, name = 'a.ts') => {
    const folder = await scratchFolder(files)
    const error = await host.refused(folder.file(name))
    return { ...error, message: error.message.replaceAll(`${folder.path}${path.sep}`, '') }
  }

  const syntax: [what: string, text: string, fix: RegExp][] = [
    ['enum', '\nenum Color { red }\n', /as const.*\na\.ts:2\nenum Color \{ red \}\n\^/s],
    ['namespace', 'namespace A { export const a = 1 }', /file of its own.*\na\.ts:1\n/s],
    ['parameter property', 'class A { constructor(private a: number) {} }', /assign it in the constructor/],
    ['import equals', "import fs = require('node:fs')", /import fs from/],
    ['decorator', '@f class A {}', /decorators/],
    ['unfinished', 'export default {', /syntax error.*\na\.ts:1/s],
  ]
  test.each(syntax)('%s: the message names the fix and the line', async (_what, text, fix) => {
    const error = await refusal({ 'a.ts': text })
    expect(error.code).toBe('MR_PLUGIN_LOAD')
    expect(error.message).toMatch(/^Plugin \.\/a\.ts: /)
    expect(error.message).toMatch(fix)
    expect(error.message).not.toContain('millrace=')
  })

  test('a type imported without `import type`', async () => {
    const error = await refusal({
      'a.ts': "import { Filter } from 'millrace'\nexport default {} as Filter\n",
    })
    expect(error.message).toContain(
      "write: import type { Filter } from 'millrace'\na.ts:1\nimport { Filter }",
    )
  })

  test.each([
    ['millrace', 'definePlugn', 'definePlugin'],
    ['node:path', 'basname', 'basename'],
  ])('a misspelt import from %s is told with what was meant', async (from, wrong, meant) => {
    const error = await refusal({
      'a.ts': `import { ${wrong} } from '${from}'\nexport default ${wrong}({})\n`,
    })
    expect(error.message).toContain(
      `Plugin ./a.ts: ${from} has no export "${wrong}" — did you mean "${meant}"? If ${wrong} is a type, write: import type`,
    )
    expect(error.message).toContain(`\na.ts:1\nimport { ${wrong} }`)
  })

  test('TypeScript in an npm package: what its exports name, a helper of it, a file named by its path', async () => {
    const manifest = (exports: string): string =>
      JSON.stringify({ name: exports.slice(2, 3), exports, type: 'module' })
    const folder = await scratchFolder({
      'node_modules/p/package.json': manifest('./p.ts'),
      'node_modules/p/p.ts': filterSource('p'),
      'node_modules/q/package.json': manifest('./q.js'),
      'node_modules/q/q.js': `import './helper.ts'\n${filterSource('q')}`,
      'node_modules/q/helper.ts': '',
    })
    for (const [source, file] of [
      [folder.package('p'), 'p/p.ts'],
      [folder.package('q'), 'q/helper.ts'],
      [folder.file('node_modules/p/p.ts'), 'p/p.ts'],
    ] as const)
      expect(await host.refused(source)).toMatchObject({
        code: 'MR_PLUGIN_LOAD',
        message: expect.stringMatching(
          new RegExp(
            `: /[^ ]*/node_modules/${file} is TypeScript inside node_modules.*publish.*compiled \\.js`,
          ),
        ),
      })
  })

  test('an npm package that was packed before it was built', async () => {
    const folder = await scratchFolder({
      'node_modules/p/package.json': '{ "name": "p", "exports": "./dist/p.js", "type": "module" }',
    })
    expect((await host.refused(folder.package('p'))).message).toMatch(
      /^Plugin p: the package is installed, but .*p\/dist\/p\.js.* does not exist: build it/,
    )
  })

  test('a file that is not there, with the one that was meant', async () => {
    const error = await refusal({ 'sticky-tenant.ts': filterSource('x') }, 'sticky-tenent.ts')
    expect(error.message).toBe(
      'Plugin ./sticky-tenent.ts: there is no file sticky-tenent.ts — did you mean "sticky-tenant.ts"?',
    )
  })

  test('a folder', async () => {
    expect((await refusal({ 'dir/index.ts': filterSource('x') }, 'dir')).message).toMatch(
      /is a folder.*index\.ts/,
    )
  })

  const missing: [what: string, imported: string, message: RegExp][] = [
    [
      'helper without its extension',
      './helper',
      /imports helper, which does not exist — did you mean "helper\.ts"\?.*extension/,
    ],
    ['helper named .js', './helper.js', /did you mean "helper\.ts"\?$/],
    ['package', 'left-pad', /imports the package "left-pad", which is not installed/],
    ['entry of millrace', 'millrace/nothing', /asks for "nothing" of a package that does not offer it/],
  ]
  test.each(missing)('an import that is not there: %s', async (_what, imported, message) => {
    const error = await refusal({ 'a.ts': `import '${imported}'\n`, 'helper.ts': '' })
    expect(error.code).toBe('MR_PLUGIN_LOAD')
    expect(error.message).toMatch(message)
  })

  test('a package that is not installed', async () => {
    const folder = await scratchFolder()
    const error = await host.refused(folder.package('@acme/nothing'))
    expect(error.message).toContain(`looked for from ${folder.path}`)
    expect(error.message).toContain('npm install @acme/nothing')
  })

  test('a throw while it is imported, with its place', async () => {
    const error = await refusal({ 'a.ts': "import './b.ts'", 'b.ts': "\nthrow new TypeError('boom')\n" })
    expect(error.message).toBe('Plugin ./a.ts: threw while it was imported: b.ts:2: boom')
  })

  test('several at once are all named', async () => {
    const folder = await scratchFolder({ 'a.ts': 'export default 1', 'b.ts': "throw new Error('boom')" })
    const error = await host.refused(folder.file('a.ts'), folder.file('b.ts'))
    expect(error.code).toBe('MR_PLUGIN_SHAPE')
    expect(error.message).toMatch(
      /^2 plugins cannot be used:\n- Plugin \.\/a\.ts exports a number.*\n- Plugin \.\/b\.ts: .*boom$/,
    )
  })

  test('two plugins of one name', async () => {
    const folder = await scratchFolder({ 'a.ts': filterSource('same'), 'b.ts': filterSource('same') })
    const error = await host.refused(folder.file('a.ts'), folder.file('b.ts'))
    expect(error).toMatchObject({
      code: 'MR_PLUGIN_DUPLICATE',
      message: expect.stringContaining('also in ./a.ts'),
    })
  })
})

test('a plugin behind a symbolic link finds its helpers where it really lies', async () => {
  const folder = await scratchFolder({
    'real/a.ts': filterSource('a', 'context.log.info(word); return {}', "import { word } from './b.ts'"),
    'real/b.ts': "export const word = 'real'\n",
  })
  await symlink(path.join(folder.path, 'real/a.ts'), path.join(folder.path, 'link.ts'))
  const [plugin] = await nativeHost().loaded(folder.file('link.ts'))
  expect(plugin.said).toEqual(['real'])
})

test('plugins load in the test runner, too, where its own module loader is in the way', async () => {
  const folder = await scratchFolder({
    'main.ts': filterSource('main', 'return {}', "import { word } from './helper.ts'"),
    'helper.ts': "export const word: string = 'a'\n",
    'node_modules/p/package.json': '{ "name": "p", "exports": "./index.js", "type": "module" }',
    'node_modules/p/index.js': filterSource('packaged'),
  })
  const hooks = installResolver()
  onTestFinished(() => hooks.uninstall())
  expect((await loadPlugin(folder.file('main.ts'))).definition.name).toBe('main')
  expect((await loadPlugin(folder.package('p'))).definition.name).toBe('packaged')
})
