import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compileScan, scanCodeFile } from '../../scripts/build-scan.ts'

test('scan-code.ts is what scan.wat compiles to (else: node scripts/build-scan.ts --write)', async () => {
  expect(readFileSync(scanCodeFile, 'utf8')).toBe(await compileScan())
})
