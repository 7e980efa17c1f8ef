/**
 * What Node has compiled, and made of TypeScript, is kept for all processes and threads of one run of the tests: they start the same code
 * hundreds of times. In a folder of its own, for tests write plugins that no other run reads.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export function setup(): void {
  if (process.env.NODE_COMPILE_CACHE !== undefined) return
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-compiled-'))
  process.env.NODE_COMPILE_CACHE = folder
  // Not when the tests have ended: processes that are shared by files end, and write, later.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
}
