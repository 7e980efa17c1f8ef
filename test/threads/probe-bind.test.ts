import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type ListenOptions, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ListenerConfig } from '../../core/config/snapshot.ts'
import { probeListeners } from '../../core/threads/probe-bind.ts'
import { runInChild } from './fixtures/child.ts'

const listener = (more: Partial<ListenerConfig> = {}): ListenerConfig => ({
  name: 'web',
  host: '127.0.0.1',
  port: 0,
  socketPath: '',
  proxyProtocol: false,
  tls: undefined,
  ownRoutes: false,
  ...more,
})

function listening(options: ListenOptions): Promise<Server> {
  const server = createServer().listen(options)
  onTestFinished(() => void server.close())
  return new Promise((resolve) => server.once('listening', () => resolve(server)))
}

const portOf = (server: Server): number => (server.address() as { port: number }).port

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

describe('probeListeners', () => {
  test('resolves port 0, once', async () => {
    const wanted = [listener(), listener({ name: 'two' })]
    const ports = await probeListeners(wanted, [], {})
    expect(ports.web).toBeGreaterThan(0)
    expect(ports.two).not.toBe(ports.web)
    expect(await probeListeners(wanted, wanted, ports)).toEqual(ports)
  })

  test('a port that another process shares with reusePort is in use all the same', async () => {
    const port = portOf(await listening({ host: '127.0.0.1', port: 0, reusePort: true }))
    await expect(probeListeners([listener({ port })], [], {})).rejects.toMatchObject({
      code: 'MR_LISTEN',
      path: 'listeners.web',
      message: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${port} is in use.*ss -ltnp`)),
    })
  })

  test('an address that our own threads have is not probed, whatever the listener is called now', async () => {
    const port = portOf(await listening({ host: '127.0.0.1', port: 0, reusePort: true }))
    const open = listener({ name: 'old', port })
    expect(await probeListeners([listener({ port })], [open], { old: port })).toEqual({ web: port })
  })

  test('may move from one address to all of them on its own port', async () => {
    const port = portOf(await listening({ host: '127.0.0.1', port: 0, reusePort: true }))
    const next = listener({ host: '0.0.0.0', port })
    expect(await probeListeners([next], [listener({ port })], { web: port })).toEqual({ web: port })
  })

  test('names an address that is not this machine’s', async () => {
    await expect(probeListeners([listener({ host: '192.0.2.1' })], [], {})).rejects.toThrow(
      /not an address of this machine/,
    )
  })

  test('removes a socket file that a dead process left, and no other file', async () => {
    const path = join(folder(), 'web.sock')
    await runInChild(
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    )
    expect(existsSync(path)).toBe(true)
    await probeListeners([listener({ socketPath: path, host: '' })], [], {})
    expect(existsSync(path)).toBe(false)
    writeFileSync(path, 'precious')
    await expect(probeListeners([listener({ socketPath: path, host: '' })], [], {})).rejects.toThrow(
      /not a socket/,
    )
    expect(existsSync(path)).toBe(true)
  })

  test('a socket that somebody listens on is in use', async () => {
    const path = join(folder(), 'web.sock')
    await listening({ path })
    await expect(probeListeners([listener({ socketPath: path, host: '' })], [], {})).rejects.toMatchObject({
      code: 'MR_LISTEN',
    })
    expect(existsSync(path)).toBe(true)
  })
})
