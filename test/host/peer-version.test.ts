import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { filterSource, scratchFolder } from './fixtures/folder.ts'
import { nativeHost } from './fixtures/native-host.ts'

describe('the millrace version that a package asks for', () => {
  const packaged = async (peer: unknown, name = '@acme/jwt', extra: Record<string, string> = {}) => {
    const manifest = {
      name,
      version: '2.1.0',
      type: 'module',
      exports: './lib/index.js',
      peerDependencies: { millrace: peer },
    }
    return await scratchFolder({
      [`node_modules/${name}/package.json`]: JSON.stringify(manifest),
      [`node_modules/${name}/lib/index.js`]: filterSource('jwt'),
      ...extra,
    })
  }
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

  test.each([
    `^${version}`,
    '*',
    `>=${version}`,
    `^${version} || ^99`,
    undefined,
  ])('%s: it loads', async (peer) => {
    const folder = await packaged(peer)
    expect(await nativeHost().loaded(folder.package('@acme/jwt'))).toHaveLength(1)
  })

  test('another one: neither loaded nor run, and both versions are named', async () => {
    const folder = await packaged('^99.1.0', 'jwt')
    await folder.write({ 'node_modules/jwt/lib/index.js': "throw new Error('it ran')" })
    expect(await nativeHost().refused(folder.package('jwt'))).toEqual({
      code: 'MR_PLUGIN_VERSION',
      message: `Plugin jwt (version 2.1.0) is made for millrace ^99.1.0 ("peerDependencies" of its package.json); this is millrace ${version}. Install a version of jwt made for it, or another millrace`,
    })
  })

  test.each(['workspace:^', 'nonsense!', 5])('%s is no range', async (peer) => {
    const folder = await packaged(peer)
    expect(await nativeHost().refused(folder.package('@acme/jwt'))).toMatchObject({
      code: 'MR_PLUGIN_VERSION',
      message: expect.stringContaining(`${JSON.stringify(peer)} as "peerDependencies.millrace"`),
    })
  })

  test('a package.json inside the package that only sets the type is not the one that counts', async () => {
    const folder = await packaged('^99.0.0', 'jwt', {
      'node_modules/jwt/lib/package.json': '{ "type": "module" }',
    })
    expect(await nativeHost().refused(folder.package('jwt'))).toMatchObject({ code: 'MR_PLUGIN_VERSION' })
  })

  test('a file named by its path is asked nothing, whatever package it lies in', async () => {
    const folder = await packaged('^99.0.0')
    expect(await nativeHost().loaded(folder.file('node_modules/@acme/jwt/lib/index.js'))).toHaveLength(1)
  })
})
