/** `millrace plugin test`: node:test over a plugin's tests, with `millrace` resolved to the running core. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { UsageError } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { extension } from './core-place.ts'

const endings = ['ts', 'mts', 'js', 'mjs']
const testFile = /\.test\.(?:ts|mts|js|mjs)$/

/** @returns the exit status of the tests */
export async function testPlugin(terminal: Terminal, given: string): Promise<number> {
  const files = testFiles(path.resolve(terminal.directory, given))
  // In the process of each file, to which node passes `--import` on.
  const preload = new URL(`./preload${extension}`, import.meta.url).href
  const child = spawn(process.execPath, ['--import', preload, '--test', ...files], {
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

/** The tests of a folder, or the one that is named, by itself or by the plugin beside it. @throws UsageError */
function testFiles(place: string): string[] {
  if (!existsSync(place)) throw new UsageError(`there is no ${place}`)
  if (statSync(place).isDirectory()) {
    const found = globSync(`**/*.test.{${endings.join(',')}}`, { cwd: place, exclude: isForeign })
    if (found.length === 0)
      throw new UsageError(
        `no test in ${place}: expected a file such as my-plugin.test.ts, or src/my-plugin.test.ts`,
      )
    return found.sort().map((file) => path.join(place, file))
  }
  if (testFile.test(place)) return [place]
  const stem = place.slice(0, -path.extname(place).length)
  const beside = endings.map((ending) => `${stem}.test.${ending}`).find((file) => existsSync(file))
  if (beside === undefined) throw new UsageError(`no test of ${place}: expected ${stem}.test.ts beside it`)
  return [beside]
}

const isForeign = (file: string): boolean => /(?:^|[/\\])(?:node_modules|dist|\..+)$/.test(file)
