#!/usr/bin/env node
/** The command. Plain JavaScript that an old Node can read, so that it can be told that it is too old. */
import { existsSync } from 'node:fs'

const oldest = 24
if (Number(process.versions.node.split('.')[0]) < oldest) {
  const found = `${process.version} (${process.execPath})`
  process.stderr.write(
    `millrace: MR_NODE_VERSION Millrace needs Node.js ${oldest} or newer; this is ${found}\n`,
  )
  process.exit(2)
}

// V8 reads these only at its start, so who starts threads begins anew with them: the same process, its pid, terminal and environment.
// It loses count of its code pages now and then where threads come and go, and aborts (nodejs/node#64500); and helpers of
// its collector take time from data threads that have a core each.
const flags = ['--no-memory-protection-keys', '--no-parallel-scavenge'].filter(
  (flag) => !process.execArgv.includes(flag),
)
const threads = ['up', 'lb', 'check'].includes(process.argv[2])
// The flags are those of this Node: another may refuse them. A channel to a parent (`fork`) would be lost, and Windows
// cannot do it.
if (
  threads &&
  process.versions.node.startsWith('24.') &&
  flags.length > 0 &&
  process.execve &&
  !process.send &&
  process.platform !== 'win32'
) {
  process.execve(process.execPath, [
    process.execPath,
    ...flags,
    ...process.execArgv,
    ...process.argv.slice(1),
  ])
}

// The published package holds JavaScript; a checkout runs the TypeScript itself.
const main = existsSync(new URL('./main.js', import.meta.url)) ? './main.js' : './main.ts'
import(main)
  .then((module) => module.main(process.argv.slice(2)))
  .then((status) => process.exit(status))
  .catch((error) => {
    const hint =
      error.code === 'ERR_MODULE_NOT_FOUND' ? '\nAre its packages installed? In a checkout: npm ci' : ''
    process.stderr.write(`millrace: ${error.stack}${hint}\n`)
    process.exit(1)
  })
