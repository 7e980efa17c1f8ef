/** An LB server on real threads that lives from a store: what clients and operators see. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../core/config/load.ts'
import { encodeConfig } from '../../core/config/sync/value.ts'
import type { ConfigStore } from '../../core/contracts/config-store.ts'
import { type AnyPlugin, definePlugin, z } from '../../core/contracts/index.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { followStore } from '../../core/threads/follow-store.ts'
import { startLbServer } from '../../core/threads/lb-server.ts'
import { builtins } from '../../plugins/manifest.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime, until } from '../conformance/time.ts'
import { within } from '../harness/until.ts'
import { wordBackend } from '../harness/word-backend.ts'
import { testLog } from './fixtures/server.ts'

const routed = (url: string, more: object = {}) => ({
  routes: [{ service: 'app' }],
  services: { app: { backends: [url], ...more } },
})

class Store {
  readonly data = new MemoryStore(new FakeTime())
  readonly client = this.data.client()
  calls = 0
  /** Every call of it is counted. */
  readonly counted = new Proxy(this.client, {
    get: (client, key) => {
      const value: unknown = Reflect.get(client, key, client)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        this.calls++
        return Reflect.apply(value, client, args)
      }
    },
  }) as ConfigStore

  async put(config: unknown): Promise<void> {
    const { revision } = this.data.documents.get('config')?.history[0] ?? {}
    const id = `write-${(revision?.number ?? 0) + 1}`
    await this.data.client().put('config', encodeConfig(config), revision ?? null, id, { by: 'test' })
  }

  get record() {
    const value = this.data.documents.get('node/lb-1')?.history[0].value
    return value ? JSON.parse(Buffer.from(value).toString()) : undefined
  }
}

const local = (more: object = {}) => ({
  node: { threads: 1 },
  admin: { address: '127.0.0.1:0' },
  drain: { delay: '0s', timeout: '5s' },
  listeners: { web: { address: '127.0.0.1:0' } },
  store: 'memory',
  ...more,
})

async function start(store: Store, wanted: object = local(), more: readonly AnyPlugin[] = []) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const registry = await loadPlugins([], [...builtins, ...more])
  const read = (data: object) =>
    loadConfig(
      { text: JSON.stringify(data), name: 'lb.json', directory },
      { env: {}, plugins: registry.catalog() },
    )
  const config = await read(wanted)
  const { lines, log } = testLog()
  const server = await startLbServer({
    ...{ config, registry, log },
    builtinsUrl: new URL('../../plugins/manifest.ts', import.meta.url),
  })
  onTestFinished(() => server.close())
  const follower = await followStore({ server, config, registry, log, store: store.counted })
  onTestFinished(() => follower.stop())
  const url = () => `http://127.0.0.1:${server.listeners[0]?.port}/`
  const get = async () => (await fetch(url())).text()
  const admin = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.admin?.port}${path}`)
    return { status: response.status, text: await response.text() }
  }
  return { server, follower, lines, read, url, get, admin }
}

/** A sync that can announce; nobody hears it. */
const megaphone = (announced: [document: string, number: number][]) =>
  definePlugin({
    api: 1,
    kind: 'config-sync',
    name: 'megaphone',
    options: z.strictObject({}),
    create: () => ({
      async announce(document, { number }) {
        announced.push([document, number])
      },
    }),
  })

describe('an LB server with a store', () => {
  test('serves what the store holds, and each change of it, and says so in its record', async () => {
    const store = new Store()
    await store.put(routed(await wordBackend('one')))
    const lb = await start(store)
    expect(await lb.get()).toBe('one')
    await store.put(routed(await wordBackend('two')))
    await until('the new config is served', async () => (await lb.get()) === 'two')
    await until('its record says so', () => store.record?.config.applied.number === 2)
    expect((await lb.admin('/metrics')).text).toMatch(/^millrace_config_store_revision 2$/m)
    expect((await lb.admin('/readyz?verbose')).text).toContain('[+]config: revision 2')
  })

  test('requests make no call of the store', async () => {
    const store = new Store()
    await store.put(routed(await wordBackend('one')))
    const lb = await start(store)
    await until(
      'the bus is up and the record written',
      () => store.record !== undefined && !lb.follower.state?.polling,
    )
    const { calls } = store
    for (let count = 0; count < 200; count++) expect(await lb.get()).toBe('one')
    expect(store.calls).toBe(calls)
  })

  test('refuses a bad config, names of code included, and goes on with the good one', async () => {
    const store = new Store()
    const url = await wordBackend('one')
    await store.put(routed(url))
    const lb = await start(store)
    const bad = [
      routed(url, { algorithm: 'round-robbin' }),
      { ...routed(url), filters: [{ use: './evil.ts' }] },
      { ...routed(url), plugins: ['/tmp/evil.ts'] },
      routed(url, { breaker: { use: 'error-rate', threshold: 'much' } }),
    ]
    for (const [index, config] of bad.entries()) {
      await store.put(config)
      await until('it is refused', () => lb.follower.state?.nack?.number === index + 2)
      expect(await lb.get()).toBe('one')
    }
    expect(lb.follower.state?.applied?.number).toBe(1)
    const { status, text } = await lb.admin('/readyz?verbose')
    expect(status).toBe(200)
    expect(text).toMatch(
      /^\[!\]config: revision 1 .*revision 5 .* is refused: MR_PLUGIN_OPTIONS services\.app\.breaker/m,
    )
    const metrics = (await lb.admin('/metrics')).text
    expect(metrics).toMatch(/^millrace_config_store_nack_revision 5$/m)
    expect(metrics).toMatch(/^millrace_config_store_refused 1$/m)
    expect(metrics).toMatch(/^millrace_config_last_reload_successful 0$/m)
    await until('its record says so', () => store.record?.config.nack?.number === 5)
    expect(lb.lines.filter(({ level }) => level === 'error')).toHaveLength(bad.length)
    await store.put(routed(await wordBackend('two')))
    await until('the new config is served', async () => (await lb.get()) === 'two')
    // Said once it is kept on the disk too.
    await until('it says so', async () =>
      (await lb.admin('/readyz?verbose')).text.includes('[+]config: revision 6'),
    )
  })

  test('without anything to serve waits unready, and serves when the store comes', async () => {
    const store = new Store()
    await store.put(routed(await wordBackend('one')))
    store.client.cut = true
    const lb = await start(store)
    expect(await lb.admin('/readyz')).toMatchObject({ status: 503 })
    expect((await lb.admin('/readyz?verbose')).text).toMatch(
      /^\[-\]config: waits for the store; the store cannot/m,
    )
    expect(lb.server.listeners).toEqual([])
    store.client.cut = false
    await until('it listens', () => lb.server.listeners.length === 1)
    expect(await lb.get()).toBe('one')
    await until('it is ready', async () => (await lb.admin('/readyz')).status === 200)
  })

  test('an empty config is served: nothing is routed, and the server is ready', async () => {
    const store = new Store()
    await store.put({})
    const lb = await start(store)
    expect((await fetch(lb.url())).status).toBe(404)
    expect(await lb.admin('/readyz')).toMatchObject({ status: 200 })
  })

  test('a store in which nothing was written says what to do, and is no empty config', async () => {
    const lb = await start(new Store())
    expect((await lb.admin('/readyz?verbose')).text).toContain('[-]config: the store holds no config yet')
  })

  test('a store that hangs does not hold up its end', async () => {
    const store = new Store()
    await store.put(routed(await wordBackend('one')))
    const lb = await start(store, local({ sync: 'megaphone' }), [megaphone([])])
    await until('the relay works', () => store.data.leases.has('lock/relay'))
    let asked = 0
    const never = (): Promise<never> => {
      asked++
      return new Promise(() => {})
    }
    Object.assign(store.client, { unannounced: never, get: never, lease: never, heads: never })
    await until('the relay waits for the store', () => asked > 0)
    await within('the follower to stop', lb.follower.stop())
    expect(store.data.leases.has('lock/relay')).toBe(true)
  })

  test('nor does a change that is never done with, or a sync that does not say goodbye', async () => {
    const store = new Store()
    await store.put(routed(await wordBackend('one')))
    const clinging = definePlugin({
      ...{ api: 1, kind: 'config-sync', name: 'clinging', options: z.strictObject({}) },
      create(context) {
        context.defer(() => new Promise(() => {}))
        return {}
      },
    })
    const lb = await start(store, local({ sync: { use: 'clinging', poll: '20ms' } }), [clinging])
    let applying = false
    lb.server.apply = () => {
      applying = true
      return new Promise(() => {})
    }
    await until('the node says that it lives', () => store.data.leases.has('node/lb-1'))
    await store.put(routed(await wordBackend('two')))
    await until('it is being applied', () => applying)
    lb.server.leave()
    expect(await lb.admin('/readyz')).toMatchObject({ status: 503 })
    expect(await lb.get()).toBe('one')
    await within('the follower to stop', lb.follower.stop())
    expect(store.data.leases.has('node/lb-1')).toBe(false)
    await within('the server to drain', lb.server.drain())
  })

  test('announces what others have committed, where its sync can, and stops with the server', async () => {
    const announced: [string, number][] = []
    const store = new Store()
    await store.put(routed(await wordBackend('one')))
    const lb = await start(store, local({ sync: 'megaphone' }), [megaphone(announced)])
    await until('it is announced', () => announced.some(([document]) => document === 'config'))
    expect(announced[0]).toEqual(['config', 1])
    await until('and noted', async () => {
      const waiting = await store.client.unannounced()
      return waiting.every(({ document }) => document !== 'config')
    })
    const metrics = (await lb.admin('/metrics')).text
    expect(metrics).toMatch(/^millrace_config_relay_working 1$/m)
    expect(metrics).toMatch(/^millrace_config_relay_announced_total [1-9]/m)
    const held = async () => (await store.client.leases('lock/')).map(({ name }) => name)
    expect(await held()).toEqual(['lock/relay'])
    await lb.follower.stop()
    expect(await held()).toEqual([])
  })

  test('a sync that throws at once fails no write, and what it did not tell stays in the outbox', async () => {
    const store = new Store()
    await store.put(routed(await wordBackend('one')))
    const broken = definePlugin({
      ...{ api: 1, kind: 'config-sync', name: 'broken', options: z.strictObject({}) },
      create: () => ({
        announce() {
          throw new Error('the bus is nowhere')
        },
      }),
    })
    const lb = await start(store, local({ sync: 'broken' }), [broken])
    expect(() => lb.follower.announce('config', { number: 1, id: 'write-1' })).not.toThrow()
    await until('it is told', () => lb.lines.some(({ message }) => message === 'config was not announced'))
    expect((await store.client.unannounced()).map(({ document }) => document)).toContain('config')
  })

  test('the local half is reloaded under what the store holds', async () => {
    const store = new Store()
    await store.put(routed(await wordBackend('one')))
    const lb = await start(store)
    const changed = await lb.read(local({ listeners: { other: { address: '127.0.0.1:0' } } }))
    expect((await lb.follower.apply(changed)).status).toBe('applied')
    expect(lb.server.listeners.map(({ name }) => name)).toEqual(['other'])
    expect(await lb.get()).toBe('one')
    expect(lb.follower.state?.applied?.number).toBe(1)
  })
})
