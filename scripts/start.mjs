/** `npm start`: installs what is missing, then `millrace up`. Arguments are passed on: `npm start -- --port 8081`. */
import path from 'node:path'
import { root, runToTheEnd, setUp } from './setup.mjs'

const node = setUp()
// The terminal, npm and this script each pass a Ctrl-C on; the variable tells `up` to take them for one.
const env = { ...process.env, MILLRACE_SIGNALS: 'doubled' }
runToTheEnd(node, [path.join(root, 'cli', 'bin.js'), 'up', ...process.argv.slice(2)], env)
