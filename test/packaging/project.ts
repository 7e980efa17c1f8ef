/** An empty project of a user, in which the packages are installed that `npm run build` writes. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export const root = path.resolve(import.meta.dirname, '../..')
/** Holds all of it. */
export const folder = mkdtempSync(path.join(tmpdir(), 'millrace-package-'))
export const dist = path.join(folder, 'dist')
export const benchDist = `${dist}-bench`
/** Of a user. */
export const project = path.join(folder, 'project')

/** As in a shell of its own: nothing of the npm that runs the tests. */
export const env = Object.fromEntries(
  Object.entries(process.env)
    .filter(([name]) => !/^(npm_|MILLRACE_|VITEST|NODE_)/.test(name))
    .map(([name, value]) => [
      name,
      name === 'PATH' ? value?.replaceAll(/[^:]*node_modules\/[^:]*:/g, '') : value,
    ]),
)

/** @throws what it printed, unless it ends with status 0 */
export function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: project, env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${status}\n${stdout}${stderr}`)
  return stdout
}

/** Builds the packages, packs them and installs the tarballs in the project, where `node` is the one that runs the tests. */
export function installPackages(): void {
  mkdirSync(project)
  run(process.execPath, path.join(root, 'scripts/build.mjs'), dist)
  const tarballs = run('npm', 'pack', '--silent', dist, benchDist).trim().split('\n')
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n')
  // zookeeper, which would be compiled, is not what is tested: it is optional.
  const install = [
    'install',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  run('npm', ...install, ...tarballs.map((tarball) => `./${tarball}`))
  symlinkSync(process.execPath, path.join(project, 'node_modules/.bin/node'))
}
