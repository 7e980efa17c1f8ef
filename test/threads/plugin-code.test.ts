import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { type LoadedConfig, loadConfig, readPluginSources } from '../../core/config/load.ts'
import { installResolver, loadPlugins } from '../../core/host/loader.ts'
import type { PluginRegistry } from '../../core/host/registry.ts'
import { startLbServer } from '../../core/threads/lb-server.ts'
import { builtins } from '../../plugins/manifest.ts'
import { until } from '../harness/until.ts'
import { testLog } from './fixtures/server.ts'

const plugin = (version: string, create = ''): string => `
import { definePlugin, z } from 'millrace'
import { label } from './label.ts'
export default definePlugin({
  api: 1, kind: 'filter', name: 'stamp', options: z.strictObject({}),
  create(context) {
    ${create}
    const seen = new Int32Array(context.shared('seen', 8).buffer)
    return { onResponse(exchange) { exchange.response.headers.set('x-stamp', label + '-${version}') } }
  },
})`

/** A folder with the plugin and a config that uses it. */
async function bench() {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const backend = createServer((_, answer) => void answer.end('ok')).listen(0, '127.0.0.1')
  await once(backend, 'listening')
  onTestFinished(() => {
    backend.closeAllConnections()
    backend.close()
  })
  const { uninstall } = installResolver()
  onTestFinished(uninstall)
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text)
  write('label.ts', "export const label: string = 'a'")
  write('stamp.ts', plugin('one'))
  const text = JSON.stringify({
    node: { threads: 2 },
    plugins: ['./stamp.ts'],
    drain: { delay: '0s', timeout: '2s' },
    listeners: { web: { address: '127.0.0.1:0' } },
    filters: ['stamp'],
    routes: [{ service: 'app' }],
    services: { app: { backends: [`http://127.0.0.1:${(backend.address() as AddressInfo).port}`] } },
  })
  const load = async (): Promise<{ config: LoadedConfig; registry: PluginRegistry }> => {
    const source = { text, name: 'test.json', directory }
    const registry = await loadPlugins(await readPluginSources(source, { env: {} }), builtins)
    return { config: await loadConfig(source, { env: {}, plugins: registry.catalog() }), registry }
  }
  const server = await startLbServer({
    ...(await load()),
    log: testLog().log,
    builtinsUrl: new URL('../../plugins/manifest.ts', import.meta.url),
  })
  onTestFinished(() => server.close())
  const stamps = async (): Promise<unknown[]> => {
    const found = new Set<unknown>()
    for (let i = 0; i < 12; i++) {
      const answer = await request(`http://127.0.0.1:${server.listeners[0].port}/`, { reset: true })
      await answer.body.dump()
      found.add(answer.headers['x-stamp'])
    }
    return [...found]
  }
  const apply = async () => {
    const { config, registry } = await load()
    return server.apply(config, registry)
  }
  return { server, write, apply, stamps }
}

test('changed plugin code takes over in every thread with the next reload, its helpers too', async () => {
  const { write, apply, stamps } = await bench()
  expect(await stamps()).toEqual(['a-one'])
  expect(await apply()).toMatchObject({ status: 'unchanged' })
  write('stamp.ts', plugin('two'))
  expect(await apply()).toMatchObject({ status: 'applied', revision: 2 })
  expect(await stamps()).toEqual(['a-two'])
  write('label.ts', "export const label: string = 'b'")
  expect(await apply()).toMatchObject({ status: 'applied', revision: 3 })
  expect(await stamps()).toEqual(['b-two'])
})

test('code that fails in one thread changes nothing in any', async () => {
  const { write, apply, stamps } = await bench()
  write('stamp.ts', plugin('bad', "if (context.thread === 1) throw new Error('not here')"))
  expect(await apply()).toMatchObject({ status: 'refused', problems: [{ code: 'MR_PLUGIN_CREATE' }] })
  expect(await stamps()).toEqual(['a-one'])
  write('stamp.ts', plugin('two'))
  expect(await apply()).toMatchObject({ status: 'applied' })
  expect(await stamps()).toEqual(['a-two'])
})

test('a thread that dies comes back with the code that is served', async () => {
  const { server, write, apply, stamps } = await bench()
  write('stamp.ts', plugin('two'))
  await apply()
  await server.killThread(0)
  await until('both serve', () => server.threads.every(({ status }) => status === 'serving'))
  expect(await stamps()).toEqual(['a-two'])
})
