import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { packageFile, packageUrl } from '../../bench/packages.ts'
import { folderWith } from '../cli/run-cli.ts'

/** An installed package of one file. */
function install(folder: string, name: string): string {
  const place = join(folder, 'node_modules', name)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'package.json'), JSON.stringify({ name, version: '1.0.0', main: 'index.js' }))
  writeFileSync(join(place, 'index.js'), '')
  return realpathSync(join(place, 'index.js'))
}

test('in a checkout they are those of its bench', async () => {
  expect(packageFile('autocannon')).toMatch(/node_modules\/autocannon\/autocannon\.js$/)
  const { Bench } = (await import(packageUrl('tinybench'))) as typeof import('tinybench')
  expect(new Bench().tasks).toEqual([])
})

test('they are asked for beside @millrace/bench, where an installer keeps packages apart, and not in the project', () => {
  const project = folderWith({})
  const store = folderWith({})
  install(project, 'tinybench')
  install(store, '@millrace/bench')
  const own = install(store, 'tinybench')
  mkdirSync(join(project, 'node_modules/@millrace'))
  symlinkSync(join(store, 'node_modules/@millrace/bench'), join(project, 'node_modules/@millrace/bench'))
  const empty = folderWith({})
  const from = (...folders: string[]) => folders.map((folder) => pathToFileURL(join(folder, 'a.js')).href)
  expect(packageFile('tinybench', from(empty, project))).toBe(own)
  expect(dirname(packageFile('tinybench/package.json', from(project)))).toBe(dirname(own))
  const missing = expect.objectContaining({
    code: 'MR_PACKAGE_MISSING',
    message: expect.stringContaining('needs uplot,'),
  })
  expect(() => packageFile('uplot', from(project))).toThrow(missing)
  expect(() => packageFile('tinybench', from(empty))).toThrow(
    /needs @millrace\/bench, which is not installed: npm/,
  )
})
