/** Packages of native code are compiled for one version of Node.js. Sees that ours load in the project's, which npm may not have run
 * on, or had the headers of; compiles them anew once where they do not. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
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

/** A folder with `include/node`, as npm's `nodedir`. The headers come with the binary; npm drops them from node_modules now and then. */
function headersOf() {
  const binary = fetchNode(wantedVersion())
  return path.dirname(path.dirname(binary))
}

/**
 * @param node the project's
 * @returns what is to be said of packages that do not load after all
 */
export function ensureNative(node) {
  return native.flatMap((name) => {
    if (problemOf(node, name) === '') return []
    process.stderr.write(`millrace: compiling ${name} for Node.js ${wantedVersion()} …\n`)
    const env = { npm_config_nodedir: headersOf() }
    if (!fs.existsSync(path.join(root, 'node_modules', name))) {
      // npm leaves out an optional package that it could not compile.
      const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages[
        `node_modules/${name}`
      ]
      npm(node, ['install', '--no-save', '--no-package-lock', '--ignore-scripts', `${name}@${version}`])
    }
    npm(node, ['rebuild', name], env)
    const problem = problemOf(node, name)
    return problem === '' ? [] : [`${name} does not load: ${problem}`]
  })
}
