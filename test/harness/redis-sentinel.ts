/**
 * A master with replicas, and Sentinels that watch them. Replicas copy as a user of their own: without that user a master goes on
 * serving everybody else, and what it acknowledges from then on is lost when a replica is promoted.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { release, type Scoped } from './cleanup.ts'
import { type RedisServer, type RedisSettings, startRedis } from './redis.ts'
import { replicationField, settled } from './redis-replication.ts'
import { type Relay, startRelay } from './relay.ts'

export interface SentinelSettings extends RedisSettings {
  readonly replicas?: number
  readonly sentinels?: number
  /** All reach master and replicas over a relay of each, Sentinels included. */
  readonly relayed?: boolean
  /** How soon a failover that came to nothing is tried again: half of it. Default 6000. */
  readonly failoverTimeoutMs?: number
}

export interface SentinelSetup {
  readonly master: RedisServer
  readonly replicas: readonly RedisServer[]
  /** Of the master, then of each replica; empty where there are none. */
  readonly relays: readonly Relay[]
  readonly watchers: readonly RedisServer[]
  /** host:port of each watcher. */
  readonly sentinels: readonly string[]
  /** As `name` of the options. */
  readonly name: string
  /** The replicas are cut off from the master for good, and nobody else is. */
  cutReplicas(): Promise<void>
}

const name = 'millrace'
const copier = 'copier'
const copying = [
  ...['--user', copier, 'on', '>copies', 'allkeys', 'allcommands'],
  ...['--masteruser', copier, '--masterauth', 'copies'],
]

interface Member {
  readonly server: RedisServer
  readonly relay: Relay | undefined
  /** Where others find it. */
  readonly port: number
}

async function startMember(settings: RedisSettings, relayed: boolean, of?: Member): Promise<Member> {
  const relay = relayed ? await startRelay(0, settings) : undefined
  const announced = relay
    ? ['--replica-announce-ip', '127.0.0.1', '--replica-announce-port', `${relay.port}`]
    : []
  const more = [...(settings.more ?? []), ...copying, ...announced]
  const server = await startRedis({ ...settings, more, ...(of && { replicaOf: of }) })
  relay?.leadTo(server.port)
  return { server, relay, port: relay?.port ?? server.port }
}

export async function startSentinels(
  {
    replicas = 1,
    sentinels = 3,
    relayed = false,
    failoverTimeoutMs = 6000,
    ...settings
  }: SentinelSettings = {},
  scope: Scoped = {},
): Promise<SentinelSetup> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-sentinel-'))
  release(scope, () => rmSync(directory, { recursive: true, force: true }))
  const own = { ...settings, ...scope }
  const master = await startMember(own, relayed)
  const copies = await Promise.all(Array.from({ length: replicas }, () => startMember(own, relayed, master)))
  // A Sentinel asks a master for its replicas when it begins, and ten seconds later.
  await settled(async () => Number(await replicationField(master.server, 'connected_slaves')) === replicas)
  const watchers = await Promise.all(
    Array.from({ length: sentinels }, (_, n) => {
      const file = join(directory, `sentinel-${n}.conf`)
      const lines = [
        `sentinel monitor ${name} 127.0.0.1 ${master.port} ${Math.floor(sentinels / 2) + 1}`,
        `sentinel down-after-milliseconds ${name} 700`,
        `sentinel failover-timeout ${name} ${failoverTimeoutMs}`,
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
  return {
    ...{ master: master.server, replicas: copies.map(({ server }) => server), watchers, name },
    relays: [master, ...copies].flatMap(({ relay }) => relay ?? []),
    sentinels: watchers.map(({ port }) => `127.0.0.1:${port}`),
    async cutReplicas() {
      // Its connections end with it.
      await master.server.command('acl', 'deluser', copier)
    },
  }
}
