/** A master with replicas, and Sentinels that watch them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { release, type Scoped } from './cleanup.ts'
import { type RedisServer, type RedisSettings, startRedis } from './redis.ts'

export interface SentinelSetup {
  readonly master: RedisServer
  readonly replicas: readonly RedisServer[]
  /** host:port of each. */
  readonly sentinels: readonly string[]
  /** As `name` of the options. */
  readonly name: string
}

const name = 'millrace'

export async function startSentinels(
  {
    replicas = 1,
    sentinels = 3,
    ...settings
  }: RedisSettings & { replicas?: number; sentinels?: number } = {},
  scope: Scoped = {},
): Promise<SentinelSetup> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-sentinel-'))
  release(scope, () => rmSync(directory, { recursive: true, force: true }))
  const master = await startRedis({ ...settings, ...scope })
  const copies = await Promise.all(
    Array.from({ length: replicas }, () => startRedis({ ...settings, ...scope, replicaOf: master })),
  )
  const watchers = await Promise.all(
    Array.from({ length: sentinels }, (_, n) => {
      const file = join(directory, `sentinel-${n}.conf`)
      const lines = [
        `sentinel monitor ${name} 127.0.0.1 ${master.port} ${Math.floor(sentinels / 2) + 1}`,
        `sentinel down-after-milliseconds ${name} 700`,
        `sentinel failover-timeout ${name} 6000`,
      ]
      writeFileSync(file, `${lines.join('\n')}\n`)
      return startRedis({ ...scope, sentinel: file })
    }),
  )
  const knows = async (sentinel: RedisServer): Promise<boolean> => {
    const [fields] = (await sentinel.command('sentinel', 'masters')) as string[][]
    const value = (field: string) => Number(fields[fields.indexOf(field) + 1])
    return value('num-slaves') === replicas && value('num-other-sentinels') === sentinels - 1
  }
  const deadline = performance.now() + 30_000
  for (const watcher of watchers)
    while (!(await knows(watcher)))
      if (performance.now() > deadline) throw new Error('The Sentinels did not find each other in 30 s')
  return { master, replicas: copies, sentinels: watchers.map(({ port }) => `127.0.0.1:${port}`), name }
}
