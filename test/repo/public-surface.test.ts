import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { publicSurface, surfaceFile } from '../../scripts/public-surface.ts'

const written = readFileSync(path.resolve(import.meta.dirname, '../..', surfaceFile), 'utf8')

test('the list of the public surface is that of the code (else: node scripts/public-surface.ts --write)', () => {
  expect(written).toBe(publicSurface())
})

test('it holds what everybody knows to be public', async () => {
  const exported = Object.keys(await import('millrace'))
  expect(exported.length).toBeGreaterThan(8)
  for (const name of [...exported, ...Object.keys(await import('millrace/conformance'))])
    expect(written).toContain(`\`${name}\``)
  for (const name of ['services.*.backends', 'MR_NO_BACKEND', 'millrace_config_revision', 'config-store'])
    expect(written).toContain(`\`${name}\``)
})
