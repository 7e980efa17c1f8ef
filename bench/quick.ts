/** A minute between two edits: 64-byte bodies against nginx, three short rounds. Takes every option of core-speed. */
import { readOptions } from './options.ts'
import { runBench } from './run.ts'

const defaults = [
  '--rounds',
  '3',
  '--seconds',
  '2',
  '--warmup',
  '2',
  '--only',
  '64b',
  '--arms',
  'nginx,millrace',
]
try {
  process.exitCode = await runBench(readOptions([...defaults, ...process.argv.slice(2)]))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
