import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { builtins } from '../../plugins/manifest.ts'

const runs = path.resolve(import.meta.dirname, '../plugins/conformance')

test.each(
  builtins.map(({ kind, name }) => [kind, name] as const),
)('%s %s has its conformance run', (kind, name) => {
  const file = path.join(runs, `${kind}.${name}.test.ts`)
  expect(existsSync(file), `${file} is missing`).toBe(true)
  expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`\\bconforms\\(\\s*'${kind}',\\s*'${name}'`))
})

test('every conformance run is of a built-in', () => {
  const known = builtins.map(({ kind, name }) => `${kind}.${name}.test.ts`)
  expect(known).toEqual(expect.arrayContaining(globSync('*.test.ts', { cwd: runs })))
})
