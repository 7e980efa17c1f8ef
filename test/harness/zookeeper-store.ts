/** The ZooKeeper store as a node has it, and what others see of it in the ensemble. */
import { randomUUID } from 'node:crypto'
import type { ConfigStore, PutResult, Revision } from 'millrace'
import { expect, onTestFinished } from 'vitest'
import { systemClock } from '../../core/host/clock.ts'
import { createInstance } from '../../core/host/instance.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import zookeeper from '../../plugins/config-store/zookeeper.ts'
import { Connection } from '../../plugins/lib/zookeeper-connection.ts'
import { loadDriver } from '../../plugins/lib/zookeeper-driver.ts'
import { release, type Scoped } from './cleanup.ts'
import { note, settle, textOf, writeId } from './redis-store.ts'
import { until } from './until.ts'
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
  const endpoint = { host: '127.0.0.1', port: server.port, place: 'a stranger' }
  let made: Connection | undefined
  await new Promise<void>((resolve, reject) => {
    made = new Connection(driver, endpoint, systemClock, { connected: resolve, lost: reject, changed() {} })
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

export const committed = (result: PutResult): Revision => {
  expect(result.status).toBe('committed')
  return (result as { revision: Revision }).revision
}

/** Writes, one after the other, until enough: each is settled, whatever was said of it first. @returns the ids, and the last */
export async function writeOn(store: ConfigStore, enough: (written: number) => boolean) {
  const ids: string[] = []
  let head: Revision | null = null
  while (!enough(ids.length)) {
    const id = writeId()
    const expected: Revision | null = head
    head = committed(await settle(() => store.put('config', Buffer.from(id), expected, id, note)))
    ids.push(id)
  }
  return { ids, head }
}

export async function expectHistory(store: ConfigStore, ids: readonly string[]): Promise<void> {
  const history = await store.history('config', { limit: 1000 })
  expect(history.map(({ revision }) => revision.id)).toEqual(ids.toReversed().slice(0, 100))
  expect(history[0].revision.number).toBe(ids.length)
  for (const { revision } of history.slice(0, 5))
    expect(textOf(await store.revision('config', revision))).toBe(revision.id)
}

/** What a watch has told. */
export async function watching(store: ConfigStore) {
  const hints: (number | undefined)[] = []
  let state = 'down'
  const watch = store.watch?.(['config'], {
    hint: (_document, revision) => void hints.push(revision?.number),
    bus: (now) => {
      state = now
    },
  })
  onTestFinished(() => watch?.close())
  await until('the bus is up', () => state === 'up')
  return { hints, state: () => state }
}
