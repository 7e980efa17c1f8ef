/** Compiles core/http1/scan.wat into core/http1/scan-code.ts: `node scripts/build-scan.ts --write`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import wabt from 'wabt'

const directory = new URL('../core/http1/', import.meta.url)
export const scanCodeFile = fileURLToPath(new URL('scan-code.ts', directory))

/** What scan-code.ts must hold. */
export async function compileScan(): Promise<string> {
  const source = readFileSync(new URL('scan.wat', directory), 'utf8')
  const module = (await wabt()).parseWat('scan.wat', source, { simd: true })
  module.resolveNames()
  module.validate()
  const code = Buffer.from(module.toBinary({}).buffer).toString('base64')
  module.destroy()
  const lines = (code.match(/.{1,100}/g) ?? []).map((line) => `  '${line}'`)
  return `/** scan.wat, compiled by scripts/build-scan.ts. */\nexport const scanCode: string =\n${lines.join(' +\n')}\n`
}

if (process.argv[1] === import.meta.filename && process.argv.includes('--write')) {
  writeFileSync(scanCodeFile, await compileScan())
}
