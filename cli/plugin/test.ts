/** `millrace plugin test`: node:test over a plugin's tests, with `millrace` resolved to the running core. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Terminal } from '../terminal.ts'
import { extension } from './core-place.ts'
import { testFiles } from './test-files.ts'

/** @returns the exit status of the tests */
export async function testPlugin(terminal: Terminal, given: string): Promise<number> {
  const files = testFiles(path.resolve(terminal.directory, given))
  // In the process of each file, to which node passes `--import` on.
  const preload = new URL(`./preload${extension}`, import.meta.url).href
  // Not `node --test`: it takes paths for patterns, and the folder [a] for one that is called a.
  const runner = fileURLToPath(new URL(`./run-tests${extension}`, import.meta.url))
  const child = spawn(process.execPath, ['--import', preload, runner, ...files], {
    cwd: terminal.directory,
    env: ownEnvironment(terminal.env),
    stdio: 'inherit',
  })
  // Ctrl-C reaches the tests too: they end, and this after them.
  const wait = (): void => {}
  process.on('SIGINT', wait)
  try {
    const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return status ?? 128 + constants.signals[signal ?? 'SIGKILL']
  } finally {
    process.off('SIGINT', wait)
  }
}

/** Inside of another run of node:test its reports would go to that one, and always look like a success. */
const ownEnvironment = ({ NODE_TEST_CONTEXT: _context, ...env }: Terminal['env']): Terminal['env'] => env
