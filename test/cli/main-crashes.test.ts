/** Plugins of the main thread that throw where nobody catches it, in a process of its own. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { encodeConfig } from '../../core/config/sync/value.ts'
import { until } from '../conformance/time.ts'
import { wordBackend } from '../harness/word-backend.ts'
import { folderWith, startCli } from './run-cli.ts'

/** Says what becomes of its instances; `fuse` is the text of what the first does when it is told of its targets. */
const knock = (fuse: string): string => `
import { EventEmitter } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { definePlugin, z } from 'millrace'
let made = 0
export default definePlugin({
  api: 1, kind: 'health-source', name: 'knock', options: z.strictObject({}),
  create(context) {
    made++
    context.log.info('instance ' + made)
    const number = made
    context.defer(() => context.log.info('stopped'))
    return {
      update(targets) {
        context.log.info('update ' + number + ': ' + targets.length)
        for (const { id } of targets) context.set(id, { up: number > 1, reason: 'of ' + number })
        if (number === 1) { ${fuse} }
      },
    }
  },
})`

const config = (url: string): string => `
node: { threads: 1, data: ./data }
plugins: [./knock.ts]
admin: { address: "127.0.0.1:0" }
drain: { delay: 0s, timeout: 1s }
listeners: { web: { address: "127.0.0.1:0" } }
routes: [{ service: app }]
services: { app: { backends: ["${url}"], health: { use: knock, interval: 100ms }, panicThreshold: 0% } }
`

async function startWith(fuse: string) {
  const directory = folderWith({ 'knock.ts': knock(fuse), 'lb.yaml': config(await wordBackend('one')) })
  return startCli(['up', '-c', 'lb.yaml', '--log', 'json'], { directory })
}

test.each([
  ['a raw timer', "setTimeout(() => { throw new Error('boom') }, 5)", 'boom'],
  [
    'an event handler',
    "const e = new EventEmitter().on('x', () => { throw new Error('boom') }); setTimeout(() => e.emit('x'), 5)",
    'boom',
  ],
  ['a rejection that nobody handles', "setTimeout(async () => { throw new Error('boom') }, 5)", 'boom'],
  ['a socket that nobody listens to', "connect('/nonexistent/socket')", 'connect ENOENT /nonexistent/socket'],
  [
    'a promise of the platform that nobody awaits',
    "void readFile('/nonexistent')",
    "ENOENT: no such file or directory, open '/nonexistent'",
  ],
])('a health source that fails in %s is named, and made anew; the process serves on', async (_, fuse, message) => {
  const running = await startWith(fuse)
  const [, url] = await running.waitFor(/web +(http:\S+)/)
  const [, admin] = await running.waitFor(/admin +(http:\S+)/)
  await running.waitFor(/"plugin":"knock".*"msg":"update 2: 1"/)
  const lines = running.text.err.split('\n').filter((line) => line.startsWith('{'))
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(told.find(({ msg }) => String(msg).startsWith('main thread:'))).toMatchObject({
    ...{ code: 'MR_PLUGIN_FAULT', kind: 'health-source', plugin: 'knock' },
    msg: `main thread: health-source knock threw outside of any hook: ${message}`,
    stack: expect.stringContaining(message),
  })
  const own = told.filter(({ plugin }) => plugin === 'knock').map(({ msg }) => String(msg))
  expect(own.filter((msg) => /^(instance|stopped|update)/.test(msg))).toEqual([
    'instance 1',
    'update 1: 1',
    'stopped',
    'instance 2',
    'update 2: 1',
  ])
  // The first has said that the backend is down, the second that it is up.
  await until('the backend is up', async () => (await fetch(url)).status === 200)
  const metrics = await (await fetch(`${admin}/metrics`)).text()
  expect(metrics).toContain('millrace_plugins_crashes_total{kind="health-source",plugin="knock"} 1')
  running.child.kill('SIGTERM')
  expect((await running.ended).status).toBe(0)
})

test('while its plugin waits to be made anew it is unhealthy, and what is known of the backends stays', async () => {
  const again = "setTimeout(() => { throw new Error('boom') }, 20);"
  const directory = folderWith({
    'knock.ts': knock('').replace('if (number === 1) {', `${again} {`).replace('up: number > 1', 'up: true'),
    'lb.yaml': config(await wordBackend('one')),
  })
  const running = startCli(['up', '-c', 'lb.yaml', '--log', 'json'], { directory })
  const [, url] = await running.waitFor(/web +(http:\S+)/)
  const [, admin] = await running.waitFor(/admin +(http:\S+)/)
  const waiting =
    /\[!\]plugins: health-source knock is unhealthy: \d+ faults within a minute, last outside of any hook: boom; its instance was stopped \(\d+ in a row\), and is made anew after \d+ ms/
  await until('it says so', async () => {
    const ready = await fetch(`${admin}/readyz?verbose`)
    return ready.status === 200 && waiting.test(await ready.text())
  })
  expect(await (await fetch(url)).text()).toBe('one')
})

test('what no plugin has to answer for ends the process with status 1, and its last line says so', async () => {
  const directory = folderWith({ 'knock.ts': knock(''), 'lb.yaml': config(await wordBackend('one')) })
  // As code of the core that has a fault.
  const fault = `import { existsSync } from 'node:fs'
    import { isMainThread } from 'node:worker_threads'
    if (isMainThread) setInterval(() => { if (existsSync('fuse')) throw new Error('boom\\nand more') }, 20).unref()`
  const node = ['--import', `data:text/javascript,${encodeURIComponent(fault)}`]
  const running = startCli(['up', '-c', 'lb.yaml', '--log', 'json'], { directory, node })
  await running.waitFor(/web +(http:\S+)/)
  writeFileSync(path.join(directory, 'fuse'), '')
  const { status, err } = await running.ended
  expect(status).toBe(1)
  expect(err).toContain('"msg":"main thread: uncaught error"')
  expect(err.trimEnd().split('\n').at(-1)).toBe(
    'millrace: MR_UNCAUGHT the process ends by an error that nobody caught, and that no plugin has to answer for: boom and more',
  )
})

/** Holds one document: the first instance revision 1, those after it revision 2. The first throws when there is a file `fuse`. */
const store = (values: readonly string[]): string => `
import { existsSync } from 'node:fs'
import { definePlugin, z } from 'millrace'
const values = ${JSON.stringify(values)}
let made = 0
export default definePlugin({
  api: 1, kind: 'config-store', name: 'own', options: z.strictObject({}),
  create(context) {
    const number = Math.min(++made, 2)
    context.log.info('instance ' + made)
    const fuse = context.resolvePath('fuse')
    const looking = made === 1 && setInterval(() => {
      if (!existsSync(fuse)) return
      clearInterval(looking)
      throw new Error('boom')
    }, 20)
    const value = Buffer.from(values[number - 1], 'base64')
    const head = {
      document: 'config', tombstone: false, note: { by: 'test' }, at: 0, bytes: value.length,
      revision: { number, id: 'write-' + number, parent: number === 1 ? undefined : 'write-1' },
    }
    const mine = (name) => name === 'config'
    return {
      lineage: async () => 'lineage',
      get: async (name) => mine(name) ? { ...head, value } : null,
      heads: async (prefix) => 'config'.startsWith(prefix) ? [head] : [],
      put: async (name, _value, expect, id) => ({ status: 'committed', revision: { number: (expect?.number ?? 0) + 1, id, parent: expect?.id } }),
      history: async (name) => mine(name) ? [head] : [],
      revision: async (name) => mine(name) ? { ...head, value } : null,
      unannounced: async () => [],
      markAnnounced: async () => {},
      lease: async () => undefined,
      leases: async () => [],
    }
  },
})`

test('a config store that throws is made anew: what is served stays, and what the next one holds is taken', async () => {
  const words = await Promise.all(['one', 'two'].map((word) => wordBackend(word)))
  const values = words.map((url) =>
    Buffer.from(
      encodeConfig({ routes: [{ service: 'app' }], services: { app: { backends: [url] } } }),
    ).toString('base64'),
  )
  const directory = folderWith({
    'own.ts': store(values),
    'lb.yaml': `
node: { threads: 1, data: ./data }
plugins: [./own.ts]
admin: { address: "127.0.0.1:0" }
drain: { delay: 0s, timeout: 1s }
listeners: { web: { address: "127.0.0.1:0" } }
store: own
sync: { use: poll, poll: 100ms }
`,
  })
  const running = startCli(['lb', '-c', 'lb.yaml'], { directory })
  const [, url] = await running.waitFor(/"url":"(http[^"]+)"/)
  expect(await (await fetch(url)).text()).toBe('one')
  writeFileSync(path.join(directory, 'fuse'), '')
  await running.waitFor(/config-store own threw outside of any hook: boom/)
  await running.waitFor(/config-store own \(store\) is made anew/)
  await until(
    'the config of the next instance is served',
    async () => (await (await fetch(url)).text()) === 'two',
  )
  running.child.kill('SIGTERM')
  expect((await running.ended).status).toBe(0)
})
