/** Measures the proxy core against its comparators: `node bench/core-speed.ts --help`. */
import { readOptions, usage } from './options.ts'
import { runBench } from './run.ts'

if (process.argv.includes('--help')) {
  console.log(usage)
} else {
  try {
    process.exitCode = await runBench(readOptions(process.argv.slice(2)))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 2
  }
}
