import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { expect, test } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')

test('through npm, files are meant from where the user is, not from the checkout', () => {
  const env = {
    ...process.env,
    npm_lifecycle_event: 'millrace',
    INIT_CWD: path.join(root, 'examples/canary'),
  }
  const script = path.join(root, 'scripts/millrace.mjs')
  const result = spawnSync(process.execPath, [script, 'check', 'millrace.yaml'], {
    cwd: root,
    env,
    encoding: 'utf8',
  })
  expect(result.stderr).toBe('')
  expect(result.stdout).toMatch(/^millrace.yaml: ok/)
})
