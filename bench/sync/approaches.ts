/** Ways of keeping LB servers up to date: a store and what tells of its changes. */
import type { PluginUse } from '../../core/config/snapshot.ts'
import { type StoreKind, storeKinds } from './servers.ts'

/** Where the servers of a group of engines are. */
export interface Places {
  /** Where the writer takes messages of other nodes. */
  readonly writer: string
  /** The file of SQLite, and ports of the others: of the store itself, and of the relay that carries the bus. */
  readonly file: string
  readonly storePort: number
  readonly busPort: number
}

export interface Approach {
  /** What the tables call it: `sync on store`. */
  readonly name: string
  readonly sync: string
  readonly store: StoreKind
  /** Something hints; else the store is asked. */
  readonly hasBus: boolean
  /** The connection that hints come over, where it can be cut: one of its own, or the store's. */
  readonly carrier: 'bus' | 'store' | undefined
}

const approach = (sync: string, store: StoreKind, carrier?: Approach['carrier']): Approach => ({
  ...{ name: `${sync} on ${store}`, sync, store, carrier },
  hasBus: sync !== 'poll',
})

export const approaches: readonly Approach[] = [
  approach('poll', 'redis'),
  approach('redis-pubsub', 'redis', 'bus'),
  approach('redis', 'redis', 'bus'),
  approach('push', 'redis'),
  approach('gossip', 'redis'),
  approach('poll', 'zookeeper'),
  approach('native', 'zookeeper', 'store'),
  approach('poll', 'sqlite'),
  approach('native', 'sqlite'),
]

/**
 * Those of a list: names of syncs, of stores, or `sync@store`. Names of both kinds narrow each other.
 * @throws a message for the user
 */
export function chooseApproaches(list: string | undefined): readonly Approach[] {
  if (list === undefined) return approaches
  const syncs = [...new Set(approaches.map(({ sync }) => sync))]
  const pairs = approaches.map(({ sync, store }) => `${sync}@${store}`)
  const names = list.split(',').map((name) => name.trim())
  for (const name of names) {
    if ([...syncs, ...storeKinds, ...pairs].includes(name)) continue
    const known = [...new Set([...syncs, ...storeKinds])].join(', ')
    throw new Error(`--only: unknown sync or store "${name}"; there are ${known}, and sync@store`)
  }
  // A store that is called like a sync is the store.
  const stores = names.filter((name) => storeKinds.some((kind) => kind === name))
  const ways = names.filter((name) => syncs.includes(name) && !stores.includes(name))
  const isAmong = (name: string, all: readonly string[]): boolean => all.length === 0 || all.includes(name)
  const isBroad = stores.length + ways.length > 0
  return approaches.filter(
    ({ sync, store }) =>
      names.includes(`${sync}@${store}`) || (isBroad && isAmong(sync, ways) && isAmong(store, stores)),
  )
}

/** @param throughRelay the store's connection is what carries the hints, so it is what fails with them */
export function storeUse({ store, carrier }: Approach, places: Places, throughRelay: boolean): PluginUse {
  const port = throughRelay && carrier === 'store' ? places.busPort : places.storePort
  const options = {
    sqlite: { path: places.file },
    redis: { url: `redis://127.0.0.1:${port}` },
    zookeeper: { url: `zookeeper://127.0.0.1:${port}/bench` },
  }[store]
  return { use: store, options, path: 'store' }
}

export function syncUse({ sync, carrier }: Approach, places: Places): PluginUse {
  const options = sync === 'gossip' ? { seeds: [places.writer] } : carrier === 'bus' ? busOptions(places) : {}
  return { use: sync, options, path: 'sync' }
}

const busOptions = ({ busPort }: Places) => ({ url: `redis://127.0.0.1:${busPort}` })
