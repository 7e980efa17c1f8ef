/** LB servers in processes of their own, with a store in a file: killed, and started again without it. */
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { encodeConfig } from '../../core/config/sync/value.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { openStore } from '../../core/host/open-store.ts'
import { builtins } from '../../plugins/manifest.ts'
import { until } from '../conformance/time.ts'
import { wordBackend } from '../harness/word-backend.ts'
import { folderWith, startCli } from './run-cli.ts'

/** A writer: another process would do as well. */
async function writer(file: string) {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const { store, stop } = await openStore(
    { use: 'sqlite', options: { path: file }, path: 'store' },
    {
      ...{ registry: await loadPlugins([], builtins), fleet: 'default', data: path.dirname(file), log },
      node: { id: 'writer', boot: 'b' },
      random: Math.random,
    },
  )
  onTestFinished(() => stop())
  let writes = 0
  return {
    stop,
    async put(config: unknown): Promise<void> {
      const head = await store.get('config')
      const id = `write-${++writes}-${Math.random().toString(36).slice(2)}`
      const result = await store.put('config', encodeConfig(config), head?.revision ?? null, id, {
        by: 'test',
      })
      expect(result.status).toBe('committed')
    },
  }
}

const config = (store: string) => `
node: { threads: 1, data: ./data }
admin: false
drain: { delay: 0s, timeout: 1s }
listeners: { web: { address: "127.0.0.1:0" } }
store: { use: sqlite, path: ${JSON.stringify(store)} }
`

const routed = (url: string) => ({ routes: [{ service: 'app' }], services: { app: { backends: [url] } } })

async function startLb(directory: string) {
  const running = startCli(['lb', '-c', 'lb.yaml'], { directory })
  const url = async () => (await running.waitFor(/"url":"(http[^"]+)"/))[1]
  return { running, url, get: async () => (await fetch(await url())).text() }
}

test('with the store gone a killed LB server serves last-known-good again, also over a corrupt newest file', async () => {
  const directory = folderWith({})
  const store = path.join(directory, 'store')
  mkdirSync(store)
  const file = path.join(store, 'config.db')
  writeFileSync(path.join(directory, 'lb.yaml'), config(file))
  const store1 = await writer(file)
  await store1.put(routed(await wordBackend('one')))
  const first = await startLb(directory)
  expect(await first.get()).toBe('one')
  await store1.put(routed(await wordBackend('two')))
  await until('the new config is served', async () => (await first.get()) === 'two')
  const kept = () =>
    readdirSync(path.join(directory, 'data')).filter((name) => name.startsWith('last-known-good-'))
  await until('both are kept', () => kept().length === 2)
  first.running.child.kill('SIGKILL')
  await first.running.ended
  await store1.stop()
  renameSync(store, path.join(directory, 'away'))
  // A folder in the place of the file: the store cannot be opened, however often.
  mkdirSync(file, { recursive: true })

  const second = await startLb(directory)
  expect(await second.get()).toBe('two')
  second.running.child.kill('SIGKILL')
  await second.running.ended

  const newest = kept().sort().at(-1) ?? ''
  writeFileSync(path.join(directory, 'data', newest), 'damaged')
  const third = await startLb(directory)
  expect(await third.get()).toBe('one')
  expect(third.running.text.err).toContain(newest)
})

test('where the store holds nothing yet it says where it listens as soon as it does', async () => {
  const directory = folderWith({})
  const file = path.join(directory, 'config.db')
  writeFileSync(path.join(directory, 'lb.yaml'), config(file))
  const { running, get } = await startLb(directory)
  await running.waitFor(/no config is served yet/)
  expect(running.text.err).not.toContain('"url"')
  await (await writer(file)).put(routed(await wordBackend('one')))
  expect(await get()).toBe('one')
})

test('routes beside a store are refused with what to do, exit status 2', async () => {
  const directory = folderWith({})
  writeFileSync(path.join(directory, 'lb.yaml'), `${config('a.db')}routes: [{ service: a }]\n`)
  const { running } = await startLb(directory)
  const { status, err } = await running.ended
  expect(status).toBe(2)
  expect(err).toContain('millrace config apply')
})
