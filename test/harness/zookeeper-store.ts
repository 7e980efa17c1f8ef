/** The ZooKeeper store as a node has it, and what others see of it in the ensemble. */
import { randomUUID } from 'node:crypto'
import type { ConfigStore } from 'millrace'
import { systemClock } from '../../core/host/clock.ts'
import { createInstance } from '../../core/host/instance.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import zookeeper from '../../plugins/config-store/zookeeper.ts'
import { Connection } from '../../plugins/lib/zookeeper-connection.ts'
import { loadDriver } from '../../plugins/lib/zookeeper-driver.ts'
import { release, type Scoped } from './cleanup.ts'
import type { ZookeeperServer } from './zookeeper.ts'

export { note, settle, textOf, write, writeId } from './redis-store.ts'

export interface MadeStore {
  readonly store: ConfigStore
  readonly warnings: string[]
  stop(): Promise<void>
}

const nothing = { add() {}, set() {} }

export async function makeStore(
  options: object,
  given: Scoped & { fleet?: string; wall?: () => number } = {},
): Promise<MadeStore> {
  const warnings: string[] = []
  const warn = (message: string): void => void warnings.push(message)
  const plugin = builtIn(zookeeper as never) as unknown as LoadedPlugin<'config-store'>
  const { instance, stop } = await createInstance(plugin, 'config-store', options, {
    id: 'test/zookeeper',
    clock: given.wall ? { ...systemClock, wall: given.wall } : systemClock,
    random: Math.random,
    log: { debug() {}, info() {}, warn, error: warn },
    metrics: { counter: () => nothing, gauge: () => nothing },
    fleet: given.fleet ?? 'default',
    node: { id: `node-${randomUUID().slice(0, 4)}`, boot: randomUUID() },
    data: '/nonexistent',
  })
  release(given, stop)
  return { store: instance, warnings, stop }
}

/** Another client of the server, that is not ours. */
export async function stranger(server: ZookeeperServer, scope: Scoped = {}): Promise<Connection> {
  const driver = await loadDriver()
  const place = `127.0.0.1:${server.port}`
  let made: Connection | undefined
  await new Promise<void>((resolve, reject) => {
    made = new Connection(driver, place, place, { connected: resolve, lost: reject, changed() {} })
  })
  const connection = made as unknown as Connection
  release(scope, () => {
    connection.lose(new Error('the test is over') as never)
    return connection.closed
  })
  return connection
}

/** All nodes under a path, itself included. */
export async function nodesUnder(connection: Connection, path: string): Promise<string[]> {
  const names = await connection.children(path)
  if (!names) return []
  const below = await Promise.all(names.map((name) => nodesUnder(connection, `${path}/${name}`)))
  return [path, ...below.flat()].sort()
}

/** Whether one of the messages is the answer to `setData`: its length, a header of 16 bytes and a Stat of 68. */
export function isAnswerToSet(chunk: Buffer): boolean {
  for (let at = 0; at + 4 <= chunk.length; at += 4 + chunk.readInt32BE(at))
    if (chunk.readInt32BE(at) === 84) return true
  return false
}
