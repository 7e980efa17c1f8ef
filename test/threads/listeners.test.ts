import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { until } from '../harness/until.ts'
import { configOf, oneListener, pool } from './fixtures/configs.ts'
import { Client, start } from './fixtures/server.ts'

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'web.sock')
}

/** What the thread behind a unix socket says; undefined where nobody listens. */
function askSocket(path: string): Promise<{ thread: number } | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write('state\n'))
    socket.on('data', (data) => {
      resolve(JSON.parse(data.toString()))
      socket.destroy()
    })
    socket.on('error', () => resolve(undefined))
  })
}

describe('unix sockets', () => {
  test('one thread listens; when it dies its successor does', async () => {
    const path = socketPath()
    const { server } = await start({ threads: 2, listeners: { web: { address: `unix:${path}` } } })
    expect(server.listeners).toEqual([{ name: 'web', address: path, port: 0 }])
    expect(await askSocket(path)).toMatchObject({ thread: 0 })
    await server.killThread(1)
    await until('both serve', () => server.threads.every(({ status }) => status === 'serving'))
    expect(await askSocket(path)).toMatchObject({ thread: 0 })
    await server.killThread(0)
    await until('both serve', () => server.threads.every(({ status }) => status === 'serving'))
    expect(await askSocket(path)).toMatchObject({ thread: 0 })
    await server.drain()
    expect(existsSync(path)).toBe(false)
  })

  test('other listeners of the same config are on every thread', async () => {
    const path = socketPath()
    const { server } = await start({
      threads: 2,
      listeners: { ...oneListener, local: { address: `unix:${path}` } },
    })
    const port = server.listeners.find(({ name }) => name === 'web')?.port ?? 0
    const seen = new Set<number>()
    for (let tries = 0; seen.size < 2 && tries < 200; tries++)
      seen.add((await (await Client.to(port)).ask()).thread)
    expect(seen.size).toBe(2)
  })
})

describe('a port that is taken', () => {
  async function taken(): Promise<number> {
    const server = createServer().listen({ host: '127.0.0.1', port: 0, reusePort: true })
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    return (server.address() as { port: number }).port
  }

  test('at start: it does not start, and nothing is left running', async () => {
    const port = await taken()
    await expect(start({ listeners: { web: { address: `127.0.0.1:${port}` } } })).rejects.toMatchObject({
      code: 'MR_LISTEN',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    })
  })

  test('at a reload: the old config stays', async () => {
    const port = await taken()
    const { server, port: web } = await start({})
    const listeners = { ...oneListener, more: { address: `127.0.0.1:${port}` } }
    expect(await server.apply(await configOf({ listeners }))).toMatchObject({
      status: 'refused',
      problems: [{ code: 'MR_LISTEN', path: 'listeners.more' }],
    })
    expect((await (await Client.to(web)).ask()).revision).toBe(1)
  })

  test('for the admin listener', async () => {
    const port = await taken()
    await expect(start({ admin: { address: `127.0.0.1:${port}` } })).rejects.toMatchObject({
      code: 'MR_LISTEN',
    })
  })
})

test('closing while a change is under way ends both', async () => {
  const { server } = await start({ threads: 2 })
  const applying = server.apply(await configOf({ services: { app: pool(2), 'hang-1': pool() } }))
  const waiting = server.apply(await configOf({ services: { app: pool(3) } }))
  await server.close()
  expect((await applying).status).toBe('refused')
  expect((await waiting).status).toBe('refused')
})
