import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** `<folder>/<name>.test.ts` of each name. */
const filesOf = (folder: string, ...names: string[]): string[] =>
  names.map((name) => `${folder}/${name}.test.ts`)

/** Of `test/threads`, what is tested without data threads. */
const threadless = [
  ...[
    'arena',
    'blame',
    'commit',
    'config-entry',
    'drain',
    'fault-report',
    'handover-hangs',
    'overrides-stop',
  ],
  ...['placement', 'plugin-health', 'slots', 'snapshot-delta', 'thread-log'],
]

/**
 * Tests of plain functions and objects: all in the same two processes. Modules of ours keep no state (`test/repo/shape.test.ts`), so none
 * finds what another has left. What counts bytes is not among them: code that others have run before is another code to V8; nor
 * may be what puts mocks in the place of modules, which others have then.
 */
const plain = [
  'test/config/**/*.test.ts',
  'test/fleet/**/*.test.ts',
  'test/host/!(clock|error-place|loader|missing-names|peer-version).test.ts',
  'test/observe/!(allocation).test.ts',
  'test/plugins/{algorithm,filter,health-source}/**/*.test.ts',
  'test/plugins/circuit-breaker/!(race).test.ts',
  'test/plugins/lib/!(zookeeper-servers).test.ts',
  'test/plugins/lib/{push,swim}/*.test.ts',
  'test/proxy/**/*.test.ts',
  'test/repo/**/*.test.ts',
  'test/upstream/**/*.test.ts',
  ...filesOf('test/threads', ...threadless),
]

/** Tests that wait more than they work, for servers and processes of their own: two files at a time, with more patience. */
const waiting = [
  'test/api/**/*.test.ts',
  'test/cli/**/*.test.ts',
  'test/examples/**/*.test.ts',
  'test/packaging/**/*.test.ts',
  'test/scripts/**/*.test.ts',
  ...filesOf(
    'test/bench',
    ...['arms', 'calibration', 'closed-loop', 'cost-table', 'html-report', 'paper', 'plugin-requests'],
    ...['stored-results', 'sync'],
  ),
  ...filesOf('test/integration', 'push', 'relay', 'zookeeper-store', 'zookeeper-users'),
  ...filesOf('test/wire', 'half-closed-tunnel'),
  ...filesOf('test/plugins/conformance', 'lock.redis', 'lock.redlock'),
]

/** Tests on real sockets and threads in which no deadline of less than seconds passes: two files at a time, as they hardly work alone. */
const paired = [
  'test/corpora/**/*.test.ts',
  ...filesOf('test/fuzz', 'differential', 'through', 'sync-schedules', 'swim-schedules'),
  ...filesOf(
    'test/wire',
    ...['accepted-oddities', 'addresses', 'body-filters', 'bodyless', 'breaker-fallback', 'broken-plugins'],
    ...['byte-identity', 'client-pipelining', 'fallback-from-queue', 'forwarding', 'framing'],
    ...['half-close-and-abort', 'hop-by-hop', 'host-and-target', 'http10-and-close'],
    ...['informational-and-expect', 'mirror-edges', 'own-algorithm', 'own-answers', 'proxy-protocol'],
    ...['rejects', 'returned-answers', 'sticky-cookie', 'tiny-pieces', 'tls-settings', 'trailers'],
    ...['back-pressure', 'balancing', 'failing-backends', 'no-reset', 'tls'],
  ),
  ...filesOf(
    'test/threads',
    ...['access-log-switch', 'follow-store', 'health', 'option-paths', 'overrides', 'plugin-reload'],
    ...['probe-bind', 'reload-keeps', 'shared-state', 'store-overrides'],
  ),
]

/**
 * Tests that go by the clock, measure, or hold threads that come and go: one file at a time, so that none starves on two cores.
 * What faces faults of real servers is among them.
 */
const heavy = [
  'test/wire/**/*.test.ts',
  'test/integration/**/*.test.ts',
  `test/threads/!(${threadless.join('|')}).test.ts`,
  'test/fuzz/**/*.test.ts',
  ...filesOf('test/bench', 'block-costs', 'driver', 'micro', 'open-loop', 'paper-sizing', 'plugin'),
  'test/plugins/config-store/**/*.test.ts',
  ...filesOf('test/plugins/conformance', 'config-store.sqlite', 'config-store.zookeeper'),
]

/**
 * V8 loses count of its code pages now and then when threads that compile a lot come and go on CPUs with memory protection keys, and
 * aborts the process (`Check failed: jit_page.has_value()`, nodejs/node#64500): once in some ten runs of all tests here.
 */
const execArgv = ['--no-memory-protection-keys']

const alias = [
  // What the plugin host's hook does at run time: `millrace` is the running core, and so are its sub-paths.
  { find: /^millrace$/, replacement: fileURLToPath(new URL('./core/contracts/index.ts', import.meta.url)) },
  {
    find: /^millrace\/conformance$/,
    replacement: fileURLToPath(new URL('./test/conformance/index.ts', import.meta.url)),
  },
]

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: './test/harness/compile-cache.ts',
    reporters: ['default'],
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'plain',
          execArgv,
          include: plain,
          isolate: false,
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'light',
          execArgv,
          include: ['test/**/*.test.ts'],
          exclude: [...plain, ...waiting, ...paired, ...heavy],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'waiting',
          execArgv,
          include: waiting,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'paired',
          execArgv,
          include: paired,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 3 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'heavy',
          execArgv,
          include: heavy,
          exclude: [...waiting, ...paired],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
})
