/** Parts of a fleet without LB servers: engines, relays, stores and syncs, made as a node makes them. */
import { randomUUID } from 'node:crypto'
import { SyncEngine } from '../../core/config/sync/engine.ts'
import type { SyncState } from '../../core/config/sync/state.ts'
import type { ConfigStore, ConfigSync, RevisionRef } from '../../core/contracts/index.ts'
import { systemClock } from '../../core/host/clock.ts'
import { openRelay } from '../../core/host/open-relay.ts'
import { openStore } from '../../core/host/open-store.ts'
import { openSync } from '../../core/host/open-sync.ts'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { builtins } from '../../plugins/manifest.ts'

/** What all nodes of it have in their files. */
export interface Site {
  readonly store: { readonly use: string; readonly options: Record<string, unknown> }
  readonly sync: { readonly use: string; readonly options: Record<string, unknown> }
  /** `node.data` of all of them; for SQLite. */
  readonly data: string
  readonly fleetKeys?: readonly string[]
}

export interface Part {
  readonly store: ConfigStore
  readonly sync: ConfigSync
  stop(): Promise<void>
}

const nothing = { add() {}, set() {} }
const common = {
  clock: systemClock,
  random: Math.random,
  log: { debug() {}, info() {}, warn() {}, error() {} },
  metrics: { counter: () => nothing, gauge: () => nothing },
  fleet: 'default',
}

function registryOf(): PluginRegistry {
  const registry = new PluginRegistry()
  for (const plugin of builtins) registry.add(builtIn(plugin))
  return registry
}

/** Nothing listens there: none of these syncs sends messages. */
const address = '127.0.0.1:9903'
const selfOf = (id: string) => ({ id, boot: randomUUID(), role: 'lb', address, zone: '' }) as const

interface Ears {
  hint(document: string, revision?: RevisionRef): void
  bus(state: 'up' | 'down'): void
}

/** A store and its sync, as one node has them. */
export async function openPart(site: Site, id: string, ears: Ears = { hint() {}, bus() {} }): Promise<Part> {
  const registry = registryOf()
  const self = selfOf(id)
  const opened = await openStore(
    { ...site.store, path: 'store' },
    { ...common, registry, node: self, data: site.data },
  )
  const sync = await openSync(
    { ...site.sync, path: 'sync', pollMs: 1000, reconcileMs: 60_000 },
    {
      ...{ ...common, registry, self, store: opened.store, documents: ['config'], ...ears },
      fleetKeys: site.fleetKeys ?? [],
    },
  )
  const stop = async (): Promise<void> => {
    await sync.stop()
    await opened.stop()
  }
  return { store: opened.store, sync: sync.sync, stop }
}

export interface EngineNode {
  state(): SyncState
  /** Every config that was served, in order. */
  readonly served: unknown[]
  stop(): Promise<void>
}

/** An engine with a store and a subscription of its own. Polls each second while the bus is down, reconciles each minute. */
export async function startEngine(site: Site, id: string): Promise<EngineNode> {
  const served: unknown[] = []
  let engine: SyncEngine | undefined
  const part = await openPart(site, id, {
    hint: (document, revision) => engine?.hint(document, revision),
    bus: (state) => engine?.bus(state),
  })
  engine = new SyncEngine({
    ...{ store: part.store, clock: common.clock, random: common.random, log: common.log },
    ...{ pollMs: 1000, reconcileMs: 60_000, node: { id, boot: randomUUID() } },
    lastGood: { load: async () => [], save: async () => {} },
    use: async (data) => {
      served.push(data)
      return { status: 'used' }
    },
    newId: () => randomUUID(),
  })
  const running = engine
  await running.start()
  const stop = async (): Promise<void> => {
    await running.stop()
    await part.stop()
  }
  return { state: () => running.state(), served, stop }
}

/** A relay as an LB server hosts it, with a store and a sync of its own. */
export async function startRelay(
  site: Site,
  id: string,
  given: { readonly ttlMs?: number; readonly standbyMs?: number; announced?(number: number): void } = {},
) {
  const part = await openPart(site, id)
  const { announce } = part.sync
  const sync: ConfigSync = announce
    ? {
        async announce(document, revision) {
          await announce.call(part.sync, document, revision)
          if (document === 'config') given.announced?.(revision.number)
        },
      }
    : {}
  const { ttlMs, standbyMs } = given
  const opened = await openRelay({
    ...{ ...common, registry: registryOf(), self: selfOf(id), store: part.store },
    ...{ sync, documents: ['config'], ttlMs, standbyMs },
  })
  const stop = async (): Promise<void> => {
    await opened?.stop()
    await part.stop()
  }
  return { relay: opened?.relay, stop }
}
