/** Open-loop load from a process of its own, so that nothing else waits in its loop: `node open-loop-driver.ts OPTIONS-JSON`
 * prints the result as one line of JSON. */
import { type OpenLoopOptions, runOpenLoop } from './open-loop.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as OpenLoopOptions
process.stdout.write(`${JSON.stringify(await runOpenLoop(options))}\n`)
process.exit()
