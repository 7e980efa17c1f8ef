/** `npm run build`: writes the packages that are published: millrace into dist/ (or the folder named by the argument), and
 * beside it, into dist-bench/, @millrace/bench, which holds nothing but the dependencies of `millrace bench`.
 * `npm pack ./dist ./dist-bench` makes the tarballs. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { root, setUp } from './setup.mjs'

const dist = path.resolve(process.argv[2] ?? path.join(root, 'dist'))
const folders = ['cli', 'core', 'plugins', 'orchestrator', 'dns', 'bench', 'test/conformance']
const benchDist = `${dist}-bench`
/** Of the checkout alone: packages and results that lie there, and what only tools read. */
const left = /^bench\/(node_modules|results|report\/page\/tsconfig\.json|package\.json|[A-Z]+\.md)(\/|$)/
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
    const name = path.relative(root, file)
    if (file.endsWith('.ts') || left.test(name.split(path.sep).join('/'))) continue
    const target = path.join(dist, name)
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

const readJson = (file) => JSON.parse(fs.readFileSync(path.join(root, file), 'utf8'))

function writeJson(file, value) {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}

/** Its version is that of millrace, which has the code; what millrace depends on itself is left out. */
function writeBench() {
  const { version, license, engines, dependencies: ofMillrace } = readJson('package.json')
  const { name, description, dependencies } = readJson('bench/package.json')
  const own = Object.entries(dependencies).filter(([dependency]) => !(dependency in ofMillrace))
  writeJson(path.join(benchDist, 'package.json'), {
    ...{ name, version, description, license, engines },
    exports: { './package.json': './package.json' },
    dependencies: Object.fromEntries(own),
    peerDependencies: { millrace: `^${version}` },
  })
  fs.copyFileSync(path.join(root, 'LICENSE'), path.join(benchDist, 'LICENSE'))
  fs.copyFileSync(path.join(root, 'bench/PACKAGE.md'), path.join(benchDist, 'README.md'))
}

function writePackageJson() {
  const from = readJson('package.json')
  const { name, version, description, license, type, engines, bin } = from
  const { dependencies, optionalDependencies, peerDependencies } = from
  const manifest = {
    ...{ name, version, description, license, type, engines, bin },
    exports: mapTargets(from.exports),
    imports: mapTargets(from.imports),
    ...{ dependencies, optionalDependencies, peerDependencies },
  }
  writeJson(path.join(dist, 'package.json'), manifest)
}

/** Nobody imports the bench: its declarations are of no use. */
function dropBenchDeclarations() {
  for (const file of filesOf(path.join(dist, 'bench'))) if (file.endsWith('.d.ts')) fs.rmSync(file)
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
  const unresolved = filesOf(dist)
    .filter((file) => file.endsWith('.js'))
    .filter((file) => /new URL\(\s*['"`][^'"`]*\.ts['"`]/.test(fs.readFileSync(file, 'utf8')))
  for (const file of unresolved)
    process.stderr.write(
      `${path.relative(dist, file)}: new URL('….ts') is not rewritten; derive the extension\n`,
    )
  return unresolved.length === 0
}

const node = setUp()
for (const folder of [dist, benchDist]) fs.rmSync(folder, { recursive: true, force: true })
const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const { status } = spawnSync(node, [tsc, '-p', path.join(root, 'tsconfig.build.json'), '--outDir', dist], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
dropBenchDeclarations()
rewriteDeclarations()
copyAssets()
writePackageJson()
writeBench()
if (!checkUrls()) process.exit(1)
for (const folder of [dist, benchDist])
  process.stdout.write(`${path.relative(process.cwd(), folder) || '.'}: ${filesOf(folder).length} files\n`)
