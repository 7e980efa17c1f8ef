import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('no pick, permit or settlement allocates', { timeout: 120_000 }, async () => {
  const script = fileURLToPath(new URL('./pick-cost.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script, '--bytes'])
  const costs = JSON.parse(stdout) as Record<string, { bytes: number }>
  expect(Object.keys(costs).length).toBeGreaterThan(40)
  // One object would be 16 bytes or more; the collector's own noise is under 1.
  for (const [name, { bytes }] of Object.entries(costs)) expect(bytes, name).toBeLessThan(8)
})
