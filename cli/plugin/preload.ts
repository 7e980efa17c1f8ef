/** Preloaded by `plugin test` with `--import`, in the process of each test file: there `millrace` is this core. */
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import { MillraceError } from '../../core/host/errors.ts'
import { explainFault } from '../../core/host/load-errors.ts'
import { installResolver } from '../../core/host/resolver.ts'
import { testFile } from './test-files.ts'

installResolver()
const [, file = ''] = process.argv
// The variable is set in the processes of test files, and not in the one that starts them; those may start others.
const isTest = isMainThread && process.env.NODE_TEST_CONTEXT !== undefined && testFile.test(file)
if (isTest) await load(file)

/** What Node starts afterwards is the same module, and so is not run again; one that cannot be loaded is told in our words. */
async function load(location: string): Promise<void> {
  try {
    await import(pathToFileURL(location).href)
  } catch (error) {
    const shown = path.relative(process.cwd(), location)
    const source = { specifier: `./${shown}`, kind: 'path', location } as const
    const what = error instanceof Error ? await explainFault(error, source) : undefined
    if (what !== undefined) end(`MR_PLUGIN_LOAD ${shown} cannot be loaded: ${what}`)
    // What we refuse says what is wrong; a stack of ours would only hide it.
    if (error instanceof MillraceError)
      end(`${error.code} ${shown}${lineOf(error, location)}: ${error.message}`)
    // It was loaded, and threw: its stack says where.
    throw error
  }
}

/** `:7`, where the stack leads to that line of the file. */
function lineOf({ stack = '' }: Error, location: string): string {
  const frame = stack.split('\n').find((line) => line.includes(pathToFileURL(location).href))
  return /(:\d+):\d+\)?$/.exec(frame ?? '')?.[1] ?? ''
}

function end(message: string): never {
  process.stderr.write(`millrace: ${message}\n`)
  process.exit(1)
}
