/** Servers that are looked for by name while no name is resolved. */
import { createServer } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../../core/host/clock.ts'
import { findServer } from '../../../plugins/lib/zookeeper-servers.ts'

vi.mock('node:dns/promises', () => ({ lookup: () => new Promise(() => {}) }))

/** A port that takes connections, and closes them without a word. */
async function silent(): Promise<number> {
  const server = createServer((socket) => socket.resume().end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

test('a name that is not resolved does not hold up the next attempt', async () => {
  const servers = [
    { host: 'zk.example', port: 2181 },
    { host: '127.0.0.1', port: await silent() },
  ]
  const context = { clock: systemClock, signal: new AbortController().signal } as never
  await expect(findServer(servers, context, 200)).rejects.toThrow(
    /^zk\.example is not resolved in time; 127\.0\.0\.1:\d+ closes the connection without a word$/,
  )
})
