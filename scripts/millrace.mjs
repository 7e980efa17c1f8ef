/** `npm start` and `npm run millrace -- <verb>`: installs what is missing, then runs the command on Node 24. */
import path from 'node:path'
import { root, runToTheEnd, setUp } from './setup.mjs'

const node = setUp()
// The terminal, npm and this script each pass a Ctrl-C on; the variable tells the command to take them for one.
const env = { ...process.env, MILLRACE_SIGNALS: 'doubled' }
// npm runs its scripts in the checkout; the names of files are meant from where the user is.
const byNpm = ['start', 'millrace'].includes(process.env.npm_lifecycle_event)
const cwd = byNpm ? process.env.INIT_CWD : undefined
runToTheEnd(node, [path.join(root, 'cli', 'bin.js'), ...process.argv.slice(2)], { env, cwd })
