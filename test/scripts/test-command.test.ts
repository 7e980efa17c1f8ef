import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')

const passing = "import { test } from 'vitest'\ntest('passes', () => {})\n"
const failing = "import { test } from 'vitest'\ntest('fails', () => { throw new Error('no') })\n"
const skipped = "import { test } from 'vitest'\ntest.skip('is not run', () => {})\n"
const broken = "import { test } from 'vitest'\nimport './nowhere.ts'\ntest('never', () => {})\n"
const stray = "import { test } from 'vitest'\ntest('passes', () => { Promise.reject(new Error('stray')) })\n"

/** Runs `npm test` on a folder with these test files; the last line of its output and its status. */
function npmTest(...files: string[]): { status: number | null; last: string | undefined } {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-tests-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  mkdirSync(path.join(folder, 'test'))
  files.forEach((text, i) => {
    writeFileSync(path.join(folder, 'test', `${i}.test.ts`), text)
  })
  writeFileSync(path.join(folder, 'vitest.config.ts'), 'export default {}\n')
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV|npm_)/.test(name)),
  )
  const script = path.join(root, 'scripts/test.mjs')
  const result = spawnSync(process.execPath, [script, '--root', folder], { env, encoding: 'utf8' })
  return { status: result.status, last: result.stdout.trimEnd().split('\n').at(-1) }
}

test('the last line counts what passed, failed, was skipped, and files that cannot be loaded', () => {
  expect(npmTest(passing, passing, failing, skipped, broken)).toEqual({
    status: 1,
    last: '2 passed, 2 failed, 1 skipped',
  })
})

test('only a run in which something passed and nothing failed is a success', () => {
  expect(npmTest(passing)).toEqual({ status: 0, last: '1 passed, 0 failed' })
  expect(npmTest(skipped)).toEqual({ status: 1, last: '0 passed, 0 failed, 1 skipped' })
  expect(npmTest()).toMatchObject({ status: 1, last: expect.stringMatching(/^0 passed, /) })
})

test('an error outside of every test is a failure, although all passed', () => {
  expect(npmTest(stray)).toEqual({ status: 1, last: '1 passed, 1 failed' })
})
