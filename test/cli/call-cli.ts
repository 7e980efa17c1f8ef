/**
 * Runs the command inside of the test process, which takes a twentieth of the time of a process of its own. Not for what starts programs
 * that write to the terminal, takes signals or measures; and each verb has a test that runs it as a user would (run-cli.ts), too.
 */
import { vi } from 'vitest'
import { main } from '../../cli/main.ts'
import { cleanEnvironment, type RunOptions, type RunResult } from './run-cli.ts'

export async function callCli(
  args: readonly string[],
  { directory = process.cwd(), env }: Omit<RunOptions, 'node'> = {},
): Promise<RunResult> {
  // Read by commander itself, not through the terminal.
  vi.stubEnv('MILLRACE_STORE', undefined)
  const text = { out: '', err: '' }
  const add = (name: 'out' | 'err') => (lines: string) => {
    text[name] += `${lines}\n`
  }
  const status = await main(args, {
    out: add('out'),
    err: add('err'),
    style: (_style, plain) => plain,
    env: cleanEnvironment(env),
    directory,
  })
  return { status, ...text }
}
