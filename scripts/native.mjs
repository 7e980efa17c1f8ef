/**
 * Packages of native code are compiled for one version of Node.js. Sees that ours load in the project's, which npm may not have run
 * on, or had the headers of; compiles them where they do not. That is done in a folder of its own: npm would tidy this one on the way, and
 * their makefiles take no path with a space.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fetchNode, npm, root, wantedVersion } from './setup.mjs'

const native = ['zookeeper']

/** What is wrong with it; empty when it loads. */
function problemOf(node, name) {
  const code = `require(${JSON.stringify(name)})`
  const { status, stderr } = spawnSync(node, ['-e', code], { cwd: root, encoding: 'utf8' })
  if (status === 0) return ''
  return /^\w*Error: .*$/m.exec(stderr)?.[0] ?? `it ends the process (${status})`
}

function lockedVersion(name) {
  const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8'))
  return lock.packages[`node_modules/${name}`].version
}

function compile(node, name) {
  const temporary = /\s/.test(os.tmpdir()) ? '/tmp' : os.tmpdir()
  const folder = fs.mkdtempSync(path.join(temporary, 'millrace-native-'))
  try {
    // They come with the binary, and npm's `nodedir` is the folder above them.
    const headers = path.join(path.dirname(path.dirname(fetchNode(wantedVersion()))), 'include')
    fs.cpSync(headers, path.join(folder, 'headers', 'include'), { recursive: true })
    fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n')
    const install = [
      'install',
      '--no-save',
      '--no-package-lock',
      '--install-strategy=nested',
      '--prefix',
      folder,
    ]
    const env = { npm_config_nodedir: path.join(folder, 'headers') }
    if (!npm(node, [...install, `${name}@${lockedVersion(name)}`], env)) return
    // With all that it needs inside of it: nothing else of this folder is touched.
    const target = path.join(root, 'node_modules', name)
    fs.rmSync(target, { recursive: true, force: true })
    fs.cpSync(path.join(folder, 'node_modules', name), target, { recursive: true, verbatimSymlinks: true })
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param node the project's
 * @returns what is to be said of packages that do not load after all
 */
export function ensureNative(node) {
  return native.flatMap((name) => {
    if (problemOf(node, name) === '') return []
    process.stderr.write(`millrace: compiling ${name} for Node.js ${wantedVersion()} …\n`)
    compile(node, name)
    const problem = problemOf(node, name)
    return problem === '' ? [] : [`${name} does not load: ${problem}`]
  })
}
