/** `npm test`: installs what is missing, Debian packages too when root, then runs every test, or those named by the
 * arguments. The last line is `N passed, N failed`, from the runner's own report. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { ensureNative } from './native.mjs'
import { root, setUp } from './setup.mjs'

/** Programs that tests run, and the Debian package each comes in; of a program that is not in the PATH its file. */
const programs = [
  { program: 'openssl', version: 'version', debian: 'openssl' },
  { program: 'chromium', version: '--version', debian: 'chromium' },
  { program: 'nginx', version: '-v', debian: 'nginx' },
  { program: 'haproxy', version: '-v', debian: 'haproxy' },
  { program: 'redis-server', version: '--version', debian: 'redis-server' },
  { program: 'wrk', version: '-v', debian: 'wrk' },
  { program: 'java', version: '-version', debian: 'default-jre-headless' },
  { file: '/usr/share/java/zookeeper.jar', debian: 'zookeeper' },
]

/** Debian keeps nginx and haproxy where the PATH of most users does not lead. */
function seeSystemPrograms() {
  process.env.PATH = [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(path.delimiter)
}

function installPrograms() {
  const missing = programs.filter(({ program, version, file }) =>
    file ? !fs.existsSync(file) : spawnSync(program, [version], { stdio: 'ignore' }).error,
  )
  if (missing.length === 0) return
  const names = missing.map(({ debian }) => debian)
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...names]
  const isRoot = process.getuid?.() === 0
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  if (isRoot && !spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 2, 2], env }).error) {
    if (spawnSync(install[0], install.slice(1), { stdio: ['ignore', 2, 2], env }).status === 0) return
  }
  process.stderr.write(`millrace: the tests need ${names.join(', ')}. Install: sudo ${install.join(' ')}\n`)
  finish({ passed: 0, failed: 1, skipped: 0 }, 1)
}

/** Counts of vitest's JSON report. A file that could not be loaded is one failure. */
function countsOf(file) {
  let report
  try {
    report = JSON.parse(fs.readFileSync(file, 'utf8'))
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
  const broken = report.testResults.filter(
    (suite) => suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'),
  )
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

function finish(counts, status) {
  // An error outside of any test fails the run, although every test passed.
  const failed = counts.failed === 0 && status !== 0 ? 1 : counts.failed
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  process.stdout.write(`\n${counts.passed} passed, ${failed} failed${skipped}\n`)
  process.exit(failed > 0 || counts.passed === 0 ? 1 : 0)
}

const node = setUp()
seeSystemPrograms()
installPrograms()
for (const problem of ensureNative(node)) process.stderr.write(`millrace: ${problem}\n`)
const report = path.join(root, '.cache', `test-report-${process.pid}.json`)
fs.mkdirSync(path.dirname(report), { recursive: true })
fs.rmSync(report, { force: true })
const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs')
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
const bin = path.join(root, 'node_modules', '.bin')
const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}` }
const args = [vitest, 'run', ...reporters, ...process.argv.slice(2)]
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {})
const result = spawnSync(node, args, { cwd: root, stdio: 'inherit', env })
const counts = countsOf(report)
fs.rmSync(report, { force: true })
finish(counts, result.status ?? 1)
