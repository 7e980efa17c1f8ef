/** The ZooKeeper store as it is used: by the command line, and by an LB server. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../core/config/load.ts'
import { encodeConfig } from '../../core/config/sync/value.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { followStore } from '../../core/threads/follow-store.ts'
import { startLbServer } from '../../core/threads/lb-server.ts'
import { builtins } from '../../plugins/manifest.ts'
import { runCli } from '../cli/run-cli.ts'
import { untilFileEnds } from '../harness/cleanup.ts'
import { until } from '../harness/until.ts'
import { startZookeeper, type ZookeeperServer } from '../harness/zookeeper.ts'
import { makeStore, textOf, write } from '../harness/zookeeper-store.ts'
import { testLog } from '../threads/fixtures/server.ts'

const cleanup = untilFileEnds()
let server: ZookeeperServer
beforeAll(async () => {
  server = await startZookeeper({ cleanup })
})

/** Where nobody has been before. */
const fresh = (): { base: string; url: string } => {
  const base = `/${randomUUID()}`
  return { base, url: server.url + base }
}

test('millrace config applies to it, reads from it, and says who was in between', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-zk-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const config = (port: number) =>
    `services: { shop: { backends: ["http://127.0.0.1:${port}"] } }\nroutes: [{ service: shop }]\n`
  writeFileSync(join(directory, 'a.yaml'), config(9001))
  writeFileSync(join(directory, 'b.yaml'), config(9002))
  const { base, url } = fresh()
  const secret = url.replace('//', '//ann:right-one@')
  const run = (...args: string[]) => runCli(['config', ...args, '--store', secret], { directory })
  expect(await run('apply', 'a.yaml', '--by', 'ann')).toMatchObject({
    status: 0,
    out: expect.stringMatching(/revision 1$/m),
  })
  expect(await run('apply', 'b.yaml', '--by', 'bob')).toMatchObject({
    status: 0,
    out: expect.stringMatching(/revision 2$/m),
  })
  expect((await run('get')).out).toContain('9002')
  expect((await run('history')).out).toMatch(/bob[\s\S]*ann/)
  expect(await run('apply', 'a.yaml', '--expect', '1')).toMatchObject({
    status: 1,
    err: expect.stringContaining('bob'),
  })
  const denied = await runCli(['config', 'get', '--store', url], { directory })
  expect(denied).toMatchObject({ status: 1, err: expect.stringContaining('MR_STORE_DENIED') })
  expect(denied.err).toContain(base)
})

test.each([
  ['ERR_MODULE_NOT_FOUND', /is not installed: npm install zookeeper@7/],
  [
    'ERR_DLOPEN_FAILED',
    /does not load in Node\.js v\d+\S*: no such symbol.*npm_config_nodedir=DIR npm rebuild zookeeper/,
  ],
])('where the package does not load (%s) it says what to do', async (code, message) => {
  const hook = `import { registerHooks } from 'node:module'
    registerHooks({ resolve(name, context, next) {
      if (name === 'zookeeper') throw Object.assign(new Error('no such symbol'), { code: '${code}' })
      return next(name, context)
    } })`
  const node = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`]
  const { status, err } = await runCli(['config', 'get', '--store', server.url], { node })
  expect([status, err]).toEqual([2, expect.stringMatching(message)])
})

test('an LB server serves what it holds, and each change of it, told by its watch', async () => {
  const { url } = fresh()
  const { store } = await makeStore({ url })
  const directory = mkdtempSync(join(tmpdir(), 'millrace-zk-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const registry = await loadPlugins([], builtins)
  const local = {
    node: { threads: 1 },
    admin: { address: '127.0.0.1:0' },
    listeners: { web: { address: '127.0.0.1:0' } },
    // Polling would come too late.
    sync: { use: 'native', poll: '1h', reconcile: '1h' },
    store: { use: 'zookeeper', url },
  }
  const config = await loadConfig(
    { text: JSON.stringify(local), name: 'lb.json', directory },
    { env: {}, plugins: registry.catalog() },
  )
  const { log } = testLog()
  const lb = await startLbServer({
    ...{ config, registry, log },
    builtinsUrl: new URL('../../plugins/manifest.ts', import.meta.url),
  })
  onTestFinished(() => lb.close())
  const served = (host: string) => ({
    routes: [{ match: { host }, service: 'app' }],
    services: { app: { backends: ['http://127.0.0.1:1'] } },
  })
  let head = await write(store, 'config', encodeConfig(served('one.test')), null)
  const follower = await followStore({ server: lb, config, registry, log })
  onTestFinished(() => follower.stop())
  await until('it follows its watch', () => follower.state?.applied?.number === 1 && !follower.state.polling)
  for (let n = 2; n <= 10; n++) {
    head = await write(store, 'config', encodeConfig(served(`${n}.test`)), head)
    await until('it is served', () => follower.state?.applied?.number === n)
  }
  const acknowledged = async () => {
    const [record] = await store.heads('node/')
    const text = record && textOf(await store.get(record.document))
    return text && JSON.parse(text).config.applied.number
  }
  await expect.poll(acknowledged).toBe(10)
})

test('who is told of a change by the watch, and asks at once, has it with what the watch has read', async () => {
  const { url } = fresh()
  const writer = await makeStore({ url })
  let head = await write(writer.store, 'config', 'v1', null)
  const { store } = await makeStore({ url })
  const answers: { text: string | undefined; lineage: string | undefined; inTurn: boolean }[] = []
  let state = 'down'
  const watch = store.watch?.(['config'], {
    hint(document) {
      let isOver = false
      // Nothing can have come back from the server before that.
      setImmediate(() => {
        isOver = true
      })
      void store.get(document).then((found) => {
        answers.push({ text: textOf(found), lineage: found?.lineage, inTurn: !isOver })
      })
    },
    bus: (now) => {
      state = now
    },
  })
  onTestFinished(() => watch?.close())
  await until('it is up', () => state === 'up')
  const lineage = await store.lineage()
  head = await write(writer.store, 'config', 'v2', head)
  await until('it is told', () => answers.length === 1)
  await write(writer.store, 'config', 'x'.repeat(20_000), head)
  await until('it is told again', () => answers.length === 2)
  expect(answers).toEqual([
    { text: 'v2', lineage, inTurn: true },
    { text: 'x'.repeat(20_000), lineage, inTurn: false },
  ])
})
