/** `npm run build`: writes the package that is published into dist/ (or the folder named by the argument).
 * `npm pack ./dist` makes the tarball. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { root, setUp } from './setup.mjs'

const dist = path.resolve(process.argv[2] ?? path.join(root, 'dist'))
const folders = ['cli', 'core', 'plugins', 'orchestrator', 'dns', 'test/conformance']
const documents = ['README.md', 'CHANGELOG.md', 'LICENSE']

function filesOf(folder) {
  if (!fs.existsSync(folder)) return []
  const entries = fs.readdirSync(folder, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
}

/** Everything but TypeScript is copied as it is: the launcher, YAML files, pages. */
function copyAssets() {
  for (const file of folders.flatMap((folder) => filesOf(path.join(root, folder)))) {
    if (file.endsWith('.ts')) continue
    const target = path.join(dist, path.relative(root, file))
    fs.mkdirSync(path.dirname(target), { recursive: true })
    fs.copyFileSync(file, target)
  }
  for (const name of documents) fs.copyFileSync(path.join(root, name), path.join(dist, name))
}

/** `./core/x.ts` → both what runs and what types it. */
const mapped = (target) => ({
  types: target.replace(/\.ts$/, '.d.ts'),
  default: target.replace(/\.ts$/, '.js'),
})

function mapTargets(map) {
  return Object.fromEntries(
    Object.entries(map)
      .filter(
        ([, target]) =>
          target.includes('*') || !target.endsWith('.ts') || fs.existsSync(path.join(root, target)),
      )
      .map(([name, target]) => [name, target.endsWith('.ts') ? mapped(target) : target]),
  )
}

function writePackageJson() {
  const from = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  const { name, version, description, license, type, engines, bin } = from
  const { dependencies, optionalDependencies, peerDependencies } = from
  const manifest = {
    ...{ name, version, description, license, type, engines, bin },
    exports: mapTargets(from.exports),
    imports: mapTargets(from.imports),
    ...{ dependencies, optionalDependencies, peerDependencies },
  }
  fs.writeFileSync(path.join(dist, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** Declarations keep `.ts` in their imports; those files do not exist in the package. */
function rewriteDeclarations() {
  for (const file of filesOf(dist).filter((name) => name.endsWith('.d.ts'))) {
    const text = fs.readFileSync(file, 'utf8')
    fs.writeFileSync(file, text.replaceAll(/(\bfrom |\bimport\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'))
  }
}

/** The compiler rewrites imports, but not other mentions of `.ts` files, which do not exist in the package. */
function checkUrls() {
  const left = filesOf(dist)
    .filter((file) => file.endsWith('.js'))
    .filter((file) => /new URL\(\s*['"`][^'"`]*\.ts['"`]/.test(fs.readFileSync(file, 'utf8')))
  for (const file of left)
    process.stderr.write(
      `${path.relative(dist, file)}: new URL('….ts') is not rewritten; derive the extension\n`,
    )
  return left.length === 0
}

const node = setUp()
fs.rmSync(dist, { recursive: true, force: true })
const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const { status } = spawnSync(node, [tsc, '-p', path.join(root, 'tsconfig.build.json'), '--outDir', dist], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
rewriteDeclarations()
copyAssets()
writePackageJson()
if (!checkUrls()) process.exit(1)
process.stdout.write(`${path.relative(process.cwd(), dist) || '.'}: ${filesOf(dist).length} files\n`)
