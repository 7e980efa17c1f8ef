import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Tests that wait more than they work, for servers and processes of their own: two files at a time, with more patience. */
const waiting = [
  'test/api/**/*.test.ts',
  'test/cli/**/*.test.ts',
  'test/examples/**/*.test.ts',
  'test/packaging/**/*.test.ts',
  'test/bench/paper.test.ts',
]

/** Tests that hold real sockets, threads or child processes: one file at a time, so that none starves on two cores. */
const heavy = [
  'test/wire/**/*.test.ts',
  'test/integration/**/*.test.ts',
  'test/threads/**/*.test.ts',
  'test/corpora/**/*.test.ts',
  'test/fuzz/**/*.test.ts',
  'test/bench/**/*.test.ts',
  'test/plugins/config-store/**/*.test.ts',
  'test/plugins/conformance/config-store.sqlite.test.ts',
  'test/plugins/conformance/config-store.zookeeper.test.ts',
  'test/plugins/conformance/lock.red*.test.ts',
  'test/scripts/**/*.test.ts',
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
          name: 'light',
          execArgv,
          include: ['test/**/*.test.ts'],
          exclude: [...heavy, ...waiting],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
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
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'heavy',
          execArgv,
          include: heavy,
          exclude: waiting,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
