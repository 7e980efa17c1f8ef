/** How far a Redis replica is behind its master, as the servers say it. */
import { setImmediate } from 'node:timers/promises'
import type { RedisServer } from './redis.ts'

/** As `until`, of what is asked over a connection. */
export async function settled(condition: () => Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('Timed out waiting for a condition')
    await setImmediate()
  }
}

/** A field of `INFO replication`; undefined: it is not there. */
export async function replicationField(server: RedisServer, name: string): Promise<string | undefined> {
  const info = String(await server.command('info', 'replication'))
  return new RegExp(`^${name}:(.*)\\r$`, 'm').exec(info)?.[1]
}

/** What was written on the master before is on the replica. (The master may not know it yet, and hold back what follows.) */
export async function replicated(master: RedisServer, replica: RedisServer): Promise<void> {
  const wanted = Number(await replicationField(master, 'master_repl_offset'))
  await settled(
    async () =>
      (await replicationField(replica, 'master_link_status')) === 'up' &&
      Number(await replicationField(replica, 'slave_repl_offset')) >= wanted,
  )
}
