/** Makes a checkout ready to run, from whatever Node and npm the machine has: packages as the lock file names them, and
 * Node 24 as `node_modules/.bin/node`. Plain JavaScript without dependencies, because it runs before both. */
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const binNode = path.join(root, 'node_modules', '.bin', 'node')

const readJson = (file) => JSON.parse(fs.readFileSync(path.join(root, file), 'utf8'))

/** True when every package of the lock file is installed in its version. What is optional may be missing. */
function packagesAreInstalled() {
  let installed
  try {
    installed = readJson('node_modules/.package-lock.json').packages
  } catch {
    return false
  }
  return Object.entries(readJson('package-lock.json').packages).every(([where, locked]) => {
    if (!where.startsWith('node_modules/') || locked.optional || locked.devOptional) return true
    if (locked.link) return fs.existsSync(path.join(root, where))
    return installed[where]?.version === locked.version && fs.existsSync(path.join(root, where))
  })
}

/** npm, on the Node that runs this script. npm scripts name their npm; else the one in PATH. */
function npm(args) {
  const viaNode = process.env.npm_execpath?.endsWith('.js')
  const [command, first] = viaNode ? [process.execPath, [process.env.npm_execpath]] : ['npm', []]
  const result = spawnSync(command, [...first, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.error) fail(`npm cannot be run (${result.error.message}). Install it, e.g. apt-get install npm.`)
  return result.status === 0
}

function fail(message) {
  process.stderr.write(`millrace: ${message}\n`)
  process.exit(1)
}

function versionOf(node) {
  const result = spawnSync(node, ['--version'], { encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : ''
}

const wantedNode = () => readJson('package-lock.json').packages['node_modules/node'].version

/** npm's `node` package brings its binary in an install script, which npm may not run: then it is fetched by hand. */
function fetchNode(version) {
  const darwinArm = process.platform === 'darwin' && process.arch === 'arm64'
  const name = `${darwinArm ? 'node-bin' : 'node'}-${process.platform}-${process.arch}`
  const prefix = path.join(root, '.cache', 'node')
  fs.mkdirSync(prefix, { recursive: true })
  fs.writeFileSync(path.join(prefix, 'package.json'), '{ "private": true }\n')
  const install = ['install', '--no-save', '--no-package-lock', '--loglevel=error', '--prefix', prefix]
  if (!npm([...install, `${name}@${version}`]))
    fail(`${name}@${version} could not be installed (npm's reason is above).`)
  const binary = path.join(prefix, 'node_modules', name, 'bin', 'node')
  const target = path.join(root, 'node_modules', 'node', 'bin', 'node')
  fs.mkdirSync(path.dirname(target), { recursive: true })
  fs.rmSync(target, { force: true })
  try {
    fs.linkSync(binary, target)
  } catch {
    fs.copyFileSync(binary, target)
  }
  fs.mkdirSync(path.dirname(binNode), { recursive: true })
  fs.rmSync(binNode, { force: true })
  fs.symlinkSync(path.join('..', 'node', 'bin', 'node'), binNode)
}

/**
 * Installs what is missing and returns the path of Node 24. Costs some milliseconds when nothing is.
 * Ends the process with a message when it cannot be done.
 */
export function setUp() {
  if (!packagesAreInstalled()) {
    process.stderr.write('millrace: installing packages (npm ci) …\n')
    if (!npm(['ci', '--loglevel=error', '--no-audit', '--no-fund']))
      fail('npm ci failed (its reason is above).')
  }
  const version = `v${wantedNode()}`
  if (versionOf(binNode) !== version) {
    process.stderr.write(`millrace: fetching Node.js ${version} …\n`)
    fetchNode(version.slice(1))
  }
  if (versionOf(binNode) !== version) fail(`${binNode} is not Node.js ${version}.`)
  return binNode
}

/** Runs a child on this terminal, passes signals on, and ends with the child's exit status. */
export function runToTheEnd(command, args, env = process.env) {
  const child = spawn(command, args, { stdio: 'inherit', env })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(`${command} cannot be run (${error.message}).`))
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp()
