import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/until.ts'
import { benchDist, dist, env, folder, installPackages, project, root, run } from './project.ts'

beforeAll(installPackages, 300_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** `npx millrace <args>` in the project; ended, with its group, when the test ends. */
function npx(...args: string[]) {
  const child = spawn('npx', ['millrace', ...args], { cwd: project, env, detached: true, stdio: 'pipe' })
  const text = { all: '' }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text.all += String(chunk)))
  const closed = once(child, 'close')
  /** A Ctrl-C, which the terminal sends to the whole group. npx itself ends by the signal, after its child. */
  const interrupt = async (): Promise<void> => {
    process.kill(-(child.pid ?? 0), 'SIGINT')
    await closed
  }
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL')
  })
  return { text, interrupt }
}

test('the package holds JavaScript and declarations, and nothing of the repository’s tools', () => {
  const files = globSync('**', { cwd: dist, withFileTypes: true }).filter((entry) => entry.isFile())
  const names = files.map((entry) => path.relative(dist, path.join(entry.parentPath, entry.name)))
  expect(names).toEqual(
    expect.arrayContaining(['cli/bin.js', 'cli/demo.yaml', 'core/contracts/index.d.ts', 'LICENSE']),
  )
  expect(names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([])
  expect(
    names.filter((name) => /^(test\/(?!conformance\/)|(scripts|examples|node_modules)\/)/.test(name)),
  ).toEqual([])
  const manifest = JSON.parse(readFileSync(path.join(dist, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >
  expect(manifest).not.toHaveProperty('devDependencies')
  expect(manifest).not.toHaveProperty('workspaces')
  expect(manifest).not.toHaveProperty('scripts')
  expect(JSON.stringify(manifest.imports)).not.toMatch(/(?<!\.d)\.ts"/)
})

test('the bench is in the package as it runs, and what only it needs is in a package beside', () => {
  const names = globSync('bench/**', { cwd: dist })
  const assets = [
    'arms/nginx.conf',
    'arms/millrace.yaml',
    'load/wrk.lua',
    'report/page/main.js',
    'report/page/style.css',
  ]
  expect(names).toEqual(expect.arrayContaining(assets.map((name) => `bench/${name}`)))
  const ofTheCheckout = /package\.json$|tsconfig\.json$|\.md$|\.d\.ts$|^bench\/(results|node_modules)\b/
  expect(names.filter((name) => ofTheCheckout.test(name))).toEqual([])
  const read = (place: string) => JSON.parse(readFileSync(path.join(place, 'package.json'), 'utf8'))
  const [millrace, bench] = [read(dist), read(benchDist)]
  expect(bench).not.toHaveProperty('private')
  expect(bench.version).toBe(millrace.version)
  expect(bench.peerDependencies).toEqual({ millrace: `^${millrace.version}` })
  const own = ['@fastify/reply-from', 'autocannon', 'http-proxy', 'tinybench', 'uplot']
  expect(Object.keys(bench.dependencies).sort()).toEqual(own)
  expect(Object.keys(millrace.dependencies).filter((name) => own.includes(name))).toEqual([])
})

test('npx millrace up serves a .ts plugin on two threads', async () => {
  const backend = http.createServer((_request, response) => response.end('from the backend'))
  onTestFinished(() => {
    backend.closeAllConnections()
    backend.close()
  })
  backend.listen(0, '127.0.0.1')
  await once(backend, 'listening')
  writeFileSync(
    path.join(project, 'stamp.ts'),
    `import { definePlugin, type Filter, z } from 'millrace'
     export default definePlugin({
       api: 1, kind: 'filter', name: 'stamp', options: z.strictObject({ text: z.string() }),
       create(context, options): Filter {
         return { onResponse(exchange) { exchange.response?.headers.set('x-stamp', options.text + context.threads) } }
       },
     })\n`,
  )
  writeFileSync(
    path.join(project, 'millrace.yaml'),
    `node: { threads: 2 }
plugins: [./stamp.ts]
listeners: { web: { address: "127.0.0.1:0" } }
admin: { address: "127.0.0.1:0" }
drain: { delay: 0s }
filters: [{ use: stamp, text: "threads: " }]
routes: [{ service: shop }]
services: { shop: { backends: ["http://127.0.0.1:${(backend.address() as AddressInfo).port}"] } }\n`,
  )
  const { text, interrupt } = npx('up', '-c', 'millrace.yaml')
  const url = await until(`it listens`, () => /web +(http:\S+)/.exec(text.all)?.[1], { timeoutMs: 60_000 })
  const response = await fetch(url)
  expect(await response.text()).toBe('from the backend')
  expect(response.headers.get('x-stamp')).toBe('threads: 2')
  await interrupt()
  expect(text.all).toMatch(/drained\n$/)
})

test('npx millrace up without a config runs the demo', async () => {
  const { text, interrupt } = npx('up', '--port', '0')
  const url = await until('it listens', () => /proxy +(http:\S+)/.exec(text.all)?.[1], { timeoutMs: 60_000 })
  expect(await (await fetch(url)).text()).toMatch(/^Hello from backend/)
  await interrupt()
  expect(text.all).toMatch(/drained\n$/)
})

test('a plugin of `plugin new` is built, packed, installed and loaded by the name of its package', async () => {
  const made = path.join(folder, 'made')
  run('npx', 'millrace', 'plugin', 'new', 'algorithm', 'first-come', '--dir', made)
  // The build of its author has TypeScript installed; here it is the one of the checkout. `prepack` builds.
  const bin = path.join(root, 'node_modules/.bin')
  const pack = ['pack', '--silent', made]
  const packed = spawnSync('npm', pack, {
    cwd: project,
    env: { ...env, PATH: `${bin}:${env.PATH}` },
    encoding: 'utf8',
  })
  expect(packed, packed.stderr).toMatchObject({ status: 0 })
  const tarball = packed.stdout.trim().split('\n').at(-1) ?? ''
  expect(run('tar', '-tzf', tarball).trim().split('\n').sort()).toEqual(
    ['README.md', 'dist/first-come.d.ts', 'dist/first-come.js', 'package.json'].map(
      (file) => `package/${file}`,
    ),
  )
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', '--loglevel=error', `./${tarball}`)
  const backend = http.createServer((_request, response) => response.end('from the backend'))
  onTestFinished(() => {
    backend.closeAllConnections()
    backend.close()
  })
  backend.listen(0, '127.0.0.1')
  await once(backend, 'listening')
  const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`
  writeFileSync(
    path.join(project, 'packed.yaml'),
    `node: { threads: 1 }
plugins: [millrace-first-come]
listeners: { web: { address: "127.0.0.1:0" } }
drain: { delay: 0s }
routes: [{ service: shop }]
services: { shop: { algorithm: { use: first-come, weights: false }, backends: ["${url}"] } }\n`,
  )
  expect(run('npx', 'millrace', 'plugin', 'list', '-c', 'packed.yaml')).toMatch(
    /^algorithm +first-come +0\.1\.0 +package millrace-first-come /m,
  )
  const { text, interrupt } = npx('up', '-c', 'packed.yaml')
  const listening = await until('it listens', () => /web +(http:\S+)/.exec(text.all)?.[1], {
    timeoutMs: 60_000,
  })
  expect(await (await fetch(listening)).text()).toBe('from the backend')
  await interrupt()
  // Its types are found by whoever imports it.
  writeFileSync(
    path.join(project, 'uses.ts'),
    `import plugin from 'millrace-first-come'
     export const name: string = plugin.name
     // @ts-expect-error had the types not been found, it would be anything
     export const wrong: number = plugin.name\n`,
  )
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', '']
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  expect(run(process.execPath, tsc, ...options, 'uses.ts')).toBe('')
})

test('a new plugin in a project with nothing but the package: its tests run, its types resolve', () => {
  run('npx', 'millrace', 'plugin', 'new', 'health-source', 'knock')
  expect(run('npx', 'millrace', 'plugin', 'test', 'knock')).toMatch(/fail 0/)
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  expect(run(process.execPath, tsc, '-p', 'knock')).toBe('')
})

test('the conformance kit of the package runs under node:test', () => {
  const source = `import { test } from 'node:test'
    import { definePlugin, z } from 'millrace'
    import { conformance } from 'millrace/conformance'
    const own = (name, pick) => definePlugin({
      api: 1, kind: 'algorithm', name, options: z.strictObject({}),
      create() {
        let backends = []
        return { update(view) { backends = view.available }, pick: (request) => pick(backends, request) }
      },
    })
    const skip = [{ test: 'a pick allocates nothing', reason: 'find makes a closure' }]
    const first = own('first', (backends, request) => backends.find((each) => !request.excluded(each)))
    if (process.argv[2] !== 'broken') conformance(first, { test, fixture: { shares: 'uneven' }, skip })
    else conformance(own('broken', (backends) => backends[0]), { test, fixture: { shares: 'uneven' }, skip })\n`
  writeFileSync(path.join(project, 'conforms.mjs'), source)
  const report = run(process.execPath, 'conforms.mjs')
  expect(report).toMatch(/skipped 1/)
  expect(report).toMatch(/fail 0/)
  expect(() => run(process.execPath, 'conforms.mjs', 'broken')).toThrow(/never picks an excluded backend/)
})

test('its declarations type a plugin: kind and options are inferred', () => {
  const source = `import { type Backend, definePlugin, z } from 'millrace'
    import { type ConformanceSetup, conformance } from 'millrace/conformance'
    export const check = (setup: ConformanceSetup<'algorithm'>) => conformance(own, setup)
    const own = definePlugin({
      api: 1, kind: 'algorithm', name: 'own', options: z.strictObject({ limit: z.int().default(1) }),
      create(context, options) {
        const threads: number = context.threads
        // @ts-expect-error limit is a number: had the types not been found, it would be anything
        const wrong: string = options.limit
        let backends: readonly Backend[] = []
        return { update(view) { backends = view.available }, pick: () => backends[threads + wrong.length] }
      },
    })\n`
  writeFileSync(path.join(project, 'typed.ts'), source)
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', '']
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  expect(run(process.execPath, tsc, ...options, 'typed.ts')).toBe('')
})

/** What becomes of `npx millrace bench <args>`. */
function bench(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('npx', ['millrace', 'bench', ...args], {
    cwd: project,
    env,
    encoding: 'utf8',
  })
  return { status, text: `${stdout}${stderr}` }
}

test('npx millrace bench plugin says what a filter of the project costs, and leaves its results there', () => {
  const source = `import { definePlugin, z } from 'millrace'
    export default definePlugin({
      api: 1, kind: 'filter', name: 'own', options: z.strictObject({}),
      create: () => ({ onRequest(exchange) { exchange.request.headers.set('x-own', '1') } }),
    })\n`
  writeFileSync(path.join(project, 'own-filter.ts'), source)
  const installed = () => globSync('node_modules/{millrace,@millrace/bench}/**', { cwd: project }).sort()
  const before = installed()
  const { status, text } = bench('plugin', './own-filter.ts', '--quick', '--rounds', '1')
  expect(text).toMatch(/onRequest +\d/)
  // Two blocks are no verdict.
  expect(text).toMatch(/too noisy to say what it costs: 1 block of each arm count, 8 are needed\n$/)
  expect(status).toBe(2)
  const report = path.join(project, 'bench-results/plugin-own/report.html')
  const page = readFileSync(report, 'utf8')
  rmSync(report)
  expect(bench('report', 'bench-results/plugin-own').status).toBe(0)
  expect(readFileSync(report, 'utf8')).toBe(page)
  expect(installed()).toEqual(before)
}, 120_000)

test('npx millrace bench names the package that it needs where that is missing', () => {
  const place = path.join(project, 'node_modules/@millrace')
  renameSync(place, path.join(project, 'away'))
  try {
    const { status, text } = bench('plugin', './own-filter.ts')
    expect(text).toBe(
      'millrace bench: MR_PACKAGE_MISSING the benchmark harness needs @millrace/bench, which is not installed: ' +
        'npm install --save-dev @millrace/bench\n',
    )
    expect(status).toBe(3)
  } finally {
    renameSync(path.join(project, 'away'), place)
  }
})

test('npx millrace bench compare asks for the config whose revisions are compared', () => {
  const { status, text } = bench('compare', 'main', '.')
  expect(text).toMatch(/--config <file> expected/)
  expect(status).toBe(3)
})
