/** Started by `plugin test` with the files to run, each in a process of its own; ends with the status of all. */
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const tests = run({ files: process.argv.slice(2), concurrency: true })
// Of each file, and of all together at the end.
tests.on('test:summary', ({ success }) => {
  if (!success) process.exitCode = 1
})
tests.pipe(new spec()).pipe(process.stdout)
