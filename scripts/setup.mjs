/** Makes a checkout ready to run, from whatever Node and npm the machine has: packages as the lock file names them, and
 * Node 24 as `node_modules/.bin/node`. Plain JavaScript without dependencies, because it runs before both. */
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const binNode = path.join(root, 'node_modules', '.bin', 'node')

const readJson = (file) => JSON.parse(fs.readFileSync(path.join(root, file), 'utf8'))

const usesGlibc = () => process.report?.getReport().header.glibcVersionRuntime !== undefined

/** Compilers' binaries and the like: optional, but what is made for this machine is needed. */
function isForThisMachine({ os, cpu, libc }) {
  const fits = os?.includes(process.platform) && cpu?.includes(process.arch)
  return fits && (libc === undefined || (libc.includes('glibc') && usesGlibc()))
}

/** True when every package of the lock file that is needed here is installed in its version. */
function packagesAreInstalled() {
  let installed
  try {
    installed = readJson('node_modules/.package-lock.json').packages
  } catch {
    return false
  }
  return Object.entries(readJson('package-lock.json').packages).every(([where, locked]) => {
    if (!where.startsWith('node_modules/')) return true
    if ((locked.optional || locked.devOptional) && !isForThisMachine(locked)) return true
    if (locked.link) return fs.existsSync(path.join(root, where))
    return installed[where]?.version === locked.version && fs.existsSync(path.join(root, where))
  })
}

/** The file that npm consists of, so that it can be run on a Node of our choice; undefined where it is hidden in a script. */
function npmFile() {
  const found = spawnSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).stdout.trim()
  const candidates = [process.env.npm_execpath, found && fs.realpathSync(found)]
  return candidates.find((file) => file?.endsWith('.js'))
}

/** Runs npm on a Node; its words go to standard error. @param more environment variables */
export function npm(node, args, more = {}) {
  const file = npmFile()
  const [command, first] = file ? [node, [file]] : ['npm', []]
  const PATH = `${path.dirname(node)}${path.delimiter}${process.env.PATH}`
  const env = { ...process.env, PATH, ...more }
  const options = ['--loglevel=error', '--no-audit', '--no-fund']
  const result = spawnSync(command, [...first, ...args, ...options], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env,
  })
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

export const wantedVersion = () => `v${readJson('package-lock.json').packages['node_modules/node'].version}`

/** Node in a place of its own, and the path of its binary. Needs nothing but an npm of any age. */
export function fetchNode(version) {
  const darwinArm = process.platform === 'darwin' && process.arch === 'arm64'
  const name = `${darwinArm ? 'node-bin' : 'node'}-${process.platform}-${process.arch}`
  const prefix = path.join(root, '.cache', 'node')
  const binary = path.join(prefix, 'node_modules', name, 'bin', 'node')
  if (versionOf(binary) === version) return binary
  process.stderr.write(`millrace: fetching Node.js ${version} …\n`)
  fs.mkdirSync(prefix, { recursive: true })
  fs.writeFileSync(path.join(prefix, 'package.json'), '{ "private": true }\n')
  const wanted = `${name}@${version.slice(1)}`
  const install = ['install', '--no-save', '--no-package-lock', '--prefix', prefix, wanted]
  if (!npm(process.execPath, install)) fail(`${wanted} could not be installed (npm's reason is above).`)
  return binary
}

/** npm's `node` package brings its binary in an install script, which npm may not run: then it is put there by hand. */
function placeNode(binary) {
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
  const version = wantedVersion()
  if (!packagesAreInstalled()) {
    // An npm that runs on an older Node leaves out optional packages that need a newer one, such as compilers' binaries.
    const old = Number(process.versions.node.split('.')[0]) < Number(version.slice(1).split('.')[0])
    const node = old ? fetchNode(version) : process.execPath
    process.stderr.write('millrace: installing packages (npm ci) …\n')
    if (!npm(node, ['ci'])) fail('npm ci failed (its reason is above).')
  }
  if (versionOf(binNode) !== version) placeNode(fetchNode(version))
  if (versionOf(binNode) !== version) fail(`${binNode} is not Node.js ${version}.`)
  return binNode
}

/** Runs a child on this terminal, passes signals on, and ends with the child's exit status. */
export function runToTheEnd(command, args, { env = process.env, cwd } = {}) {
  const child = spawn(command, args, { stdio: 'inherit', env, cwd })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(`${command} cannot be run (${error.message}).`))
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setUp()
