/** Checks the types of a folder with its own tsconfig.json, as its author's editor would. */
import { spawnSync } from 'node:child_process'
import path from 'node:path'

const tsc = path.resolve(import.meta.dirname, '../../node_modules/typescript/bin/tsc')

/** What the compiler says; empty: nothing is wrong. */
export function typesOf(folder: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, ...args], { cwd: folder, encoding: 'utf8' })
  return stdout + stderr
}
