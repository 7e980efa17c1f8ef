/** What operators decide where there is a store: in force on every LB server, kept over restarts, changed through any of them. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../core/config/load.ts'
import {
  decodeOverrides,
  encodeOverrides,
  noOverrides,
  overridesDocument,
  withDrain,
} from '../../core/config/overrides.ts'
import { encodeConfig } from '../../core/config/sync/value.ts'
import { loadPlugins } from '../../core/host/loader.ts'
import { followStore } from '../../core/threads/follow-store.ts'
import { startLbServer } from '../../core/threads/lb-server.ts'
import { builtins } from '../../plugins/manifest.ts'
import { MemoryStore } from '../conformance/memory-store.ts'
import { FakeTime, until } from '../conformance/time.ts'
import { startBackend } from '../examples/example.ts'
import { testLog } from './fixtures/server.ts'

function folder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

class Fleet {
  readonly data = new MemoryStore(new FakeTime())
  readonly urls: string[] = []
  #writes = 0

  async begin(): Promise<this> {
    for (const word of ['one', 'two']) this.urls.push(`http://127.0.0.1:${(await startBackend(word)).port}`)
    await this.put(
      'config',
      encodeConfig({
        routes: [{ service: 'app' }],
        services: { app: { backends: this.urls, panicThreshold: '0%' } },
      }),
    )
    return this
  }

  get first(): string {
    return this.urls[0] as string
  }

  /** As another process writes. */
  async put(document: string, value: Uint8Array | null): Promise<void> {
    const head = await this.data.client().get(document)
    const id = `write-${++this.#writes}`
    await this.data.client().put(document, value, head?.revision ?? null, id, { by: 'test' })
  }

  get overrides() {
    const [head] = this.data.documents.get(overridesDocument)?.history ?? []
    return {
      number: head?.revision.number ?? 0,
      ...decodeOverrides(head?.value ?? null, 0),
      note: head?.note,
    }
  }

  async lb(id: string, directory = folder()) {
    const registry = await loadPlugins([], builtins)
    const text = JSON.stringify({
      node: { id, threads: 1, data: directory },
      admin: { address: '127.0.0.1:0' },
      drain: { delay: '0s', timeout: '1s' },
      listeners: { web: { address: '127.0.0.1:0' } },
      store: 'memory',
    })
    const config = await loadConfig(
      { text, name: 'lb.json', directory },
      { env: {}, plugins: registry.catalog() },
    )
    const { lines, log } = testLog()
    const server = await startLbServer({
      ...{ config, registry, log },
      builtinsUrl: new URL('../../plugins/manifest.ts', import.meta.url),
    })
    onTestFinished(() => server.close())
    const client = this.data.client()
    const follower = await followStore({ server, config, registry, log, store: client })
    onTestFinished(() => follower.stop())
    const words = async (): Promise<string[]> => {
      const heard = new Set<string>()
      for (let tries = 0; tries < 6; tries++) {
        const answer = await fetch(`http://127.0.0.1:${server.listeners[0]?.port}/`)
        const text = await answer.text()
        heard.add(answer.ok ? text : String(answer.status))
      }
      return [...heard].sort()
    }
    const breaker = async (method: string, body?: object, query = '') => {
      const answer = await fetch(`http://127.0.0.1:${server.admin?.port}/v1/services/app/breaker${query}`, {
        method,
        ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    }
    const states = () =>
      server.services()[0]?.backends.map(({ forced, drained }) => `${forced}${drained ? ' drained' : ''}`)
    const stop = async (): Promise<void> => {
      await follower.stop()
      await server.close()
    }
    return { server, follower, client, lines, directory, words, breaker, states, stop }
  }
}

test('a decision through one LB server is in force on all, with who and why in the store, and is taken back on all', async () => {
  const fleet = await new Fleet().begin()
  const [a, b] = [await fleet.lb('a'), await fleet.lb('b')]
  const decided = await a.breaker('PUT', { mode: 'open', backend: fleet.first, reason: 'disk', actor: 'ann' })
  expect(decided).toMatchObject({
    status: 200,
    body: { revision: 1, breakers: [{ backend: fleet.first, actor: 'ann' }] },
  })
  // It is in force where it was decided before that is answered.
  expect(a.states()).toEqual(['open', 'auto'])
  expect(await a.words()).toEqual(['two'])
  await until('it is in force on the other', () => b.states()?.[0] === 'open')
  expect(await b.words()).toEqual(['two'])
  expect(fleet.overrides).toMatchObject({
    number: 1,
    breakers: [{ service: 'app', mode: 'open', reason: 'disk' }],
    note: { by: 'ann', message: expect.stringMatching(/^breaker of app .* open: disk$/) },
  })
  expect(await b.breaker('DELETE')).toMatchObject({ status: 200, body: { revision: 2, breakers: [] } })
  await until('it is over on the first', () => a.states()?.[0] === 'auto')
  expect(await a.words()).toEqual(['one', 'two'])
})

test('a drained backend gets no new exchange; its record is in the store alone', async () => {
  const fleet = await new Fleet().begin()
  const lb = await fleet.lb('a')
  const drain = {
    service: 'app',
    backend: fleet.first,
    reason: 'x',
    actor: 'ann',
    since: '2026-01-01T00:00:00.000Z',
  }
  await fleet.put(overridesDocument, encodeOverrides(withDrain(noOverrides, drain)))
  await until('it is drained', () => lb.states()?.[0] === 'auto drained')
  expect(await lb.words()).toEqual(['two'])
  await fleet.put(overridesDocument, null)
  await until('it takes exchanges again', () => lb.states()?.[0] === 'auto')
  expect(await lb.words()).toEqual(['one', 'two'])
})

test('a restart without the store has what was in force; a change is refused then, and nothing changes', async () => {
  const fleet = await new Fleet().begin()
  const first = await fleet.lb('a')
  await first.breaker('PUT', { mode: 'open', backend: fleet.first, reason: 'disk' })
  const kept = join(first.directory, 'overrides-last-known-good.json')
  await until('it is kept', () => existsSync(kept) && readFileSync(kept, 'utf8').includes('disk'))
  await first.stop()
  // The store is there for the config's sake only once it is asked: cut off from the start.
  const { data } = fleet
  const client = data.client.bind(data)
  data.client = (clock) => Object.assign(client(clock), { cut: true })
  const again = await fleet.lb('a', first.directory)
  data.client = client
  expect(again.follower.state).toMatchObject({ reachable: false, from: 'last-known-good' })
  expect(again.states()).toEqual(['open', 'auto'])
  expect(await again.words()).toEqual(['two'])
  expect(await again.breaker('DELETE')).toMatchObject({
    status: 503,
    body: { error: 'MR_STORE_UNAVAILABLE' },
  })
  expect(again.states()).toEqual(['open', 'auto'])
  await fleet.put(overridesDocument, null)
  again.client.cut = false
  await until('the store is followed again', () => again.states()?.[0] === 'auto')
})

test('a decision ends by itself on every LB server, and nobody has to write for that', async () => {
  const fleet = await new Fleet().begin()
  const [a, b] = [await fleet.lb('a'), await fleet.lb('b')]
  await a.breaker('PUT', { mode: 'open', backend: fleet.first, reason: 'short', for: '700ms' })
  await until('it is in force on both', () => a.states()?.[0] === 'open' && b.states()?.[0] === 'open')
  await until('it is over on both', () => a.states()?.[0] === 'auto' && b.states()?.[0] === 'auto')
  expect(fleet.overrides).toMatchObject({ number: 1, breakers: [{ reason: 'short' }] })
  await a.breaker('PUT', { mode: 'closed', backend: fleet.first, reason: 'next' })
  expect(fleet.overrides.breakers).toMatchObject([{ reason: 'next' }])
})

test('what cannot be understood changes nothing, and what comes after it is in force', async () => {
  const fleet = await new Fleet().begin()
  const lb = await fleet.lb('a')
  await lb.breaker('PUT', { mode: 'open', backend: fleet.first, reason: 'disk' })
  await fleet.put(overridesDocument, Buffer.from('{"schema":1,"breakers":"all"}'))
  await until('it is told', () =>
    lb.lines.some(({ level, message }) => level === 'error' && message.includes('revision 2')),
  )
  expect(lb.states()).toEqual(['open', 'auto'])
  await fleet.put(overridesDocument, encodeOverrides(noOverrides))
  await until('the next is in force', () => lb.states()?.[0] === 'auto')
})

test('what was decided before there was a store is not in force, and that is said', async () => {
  const fleet = await new Fleet().begin()
  const directory = folder()
  const record = {
    service: 'app',
    mode: 'open',
    reason: 'x',
    actor: 'ann',
    since: '2026-01-01T00:00:00.000Z',
  }
  writeFileSync(
    join(directory, 'overrides.json'),
    JSON.stringify({ schema: 1, revision: 1, breakers: [record] }),
  )
  const lb = await fleet.lb('a', directory)
  expect(lb.states()).toEqual(['auto', 'auto'])
  expect(
    lb.lines.some(({ level, message }) => level === 'warn' && message.includes('before there was a store')),
  ).toBe(true)
})
